"""The command line as a program that Ctrl-C reaches, however the tests were started."""

from __future__ import annotations

import sys

# A process in the background ignores Ctrl-C, and its children inherit that; so the child restores it first.
PROGRAM = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "sys.argv[0] = 'rapidseg'; from rapidseg.cli.app import main; main()"
)


def interruptible_command(*words: object) -> list[str]:
    """Returns the words that run `rapidseg` with `words`, for `subprocess.Popen`."""
    return [sys.executable, "-c", PROGRAM, *map(str, words)]

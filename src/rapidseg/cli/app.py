"""Runs the command line, and turns errors into messages and exit statuses.

Exit status: 0, everything that was asked for is done; 1, some of it could not be done; 2, the request was wrong, or a
package that RapidSeg needs is missing or broken; 130, interrupted by Ctrl-C; 143, ended by SIGTERM.

Hardly anything is imported at module level, so that a broken package, Typer included, is reported, and Ctrl-C too.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from rapidseg.core.errors import DependencyError, RapidSegError

_SIGINT = 2


def main() -> None:
    """Runs the command line and exits."""
    try:
        _run()
    except KeyboardInterrupt:  # a running command ends on its own; this one was still being imported
        from rapidseg.cli.interrupts import pending_signal

        sys.stderr.write("interrupted\n")
        sys.exit(128 + (pending_signal() or _SIGINT))


def _run() -> None:
    from rapidseg.cli.interrupts import interrupt_is_pending, pending_signal, remember_interrupts

    remember_interrupts()
    from rapidseg.core.errors import DependencyError, RapidSegError
    from rapidseg.core.import_errors import explained_imports

    _escape_unencodable_characters()
    try:
        with explained_imports():
            from rapidseg.cli.commands import app

            app()
    except SystemExit as end:
        if end.code == 128 + _SIGINT and interrupt_is_pending():  # Typer ended it while it read the arguments
            sys.stderr.write("interrupted\n")
            sys.exit(128 + (pending_signal() or _SIGINT))
        raise
    except DependencyError as error:
        if interrupt_is_pending():  # libraries that are interrupted while they are imported seem to be broken
            raise KeyboardInterrupt from error
        if sys.argv[1:2] == ["doctor"]:
            _fail_to_diagnose(error)
        _fail(error)
    except RapidSegError as error:
        _fail(error)


def _fail(error: RapidSegError) -> NoReturn:
    _print_error(str(error))
    sys.exit(2)


def _fail_to_diagnose(error: DependencyError) -> NoReturn:
    """Prints what `doctor` can find out without the packages that it is built on."""
    import json

    from rapidseg.workflows.doctor import find_problems

    problems = find_problems()
    if "--json" in sys.argv:
        document = {"ok": False, "problems": [problem.to_dict() for problem in problems], "error": str(error)}
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
        sys.exit(2)
    required = [problem for problem in problems if problem.required]
    for problem in required:
        _print_error(f"{problem.message}. To repair it, {problem.advice}")
    if not required:
        _print_error(str(error))
    sys.exit(2)


def _print_error(text: str) -> None:
    try:
        from rapidseg.cli.console import print_error
    except Exception:  # Rich is missing or broken
        sys.stderr.write(f"error: {text}\n")
    else:
        print_error(text)


def _escape_unencodable_characters() -> None:
    """Makes both streams print an escape for each character that the terminal's encoding lacks."""
    import io

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")

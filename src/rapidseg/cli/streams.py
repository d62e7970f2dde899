"""The standard streams, made safe: what cannot be printed never ends the work, and is reported once at its end.

A terminal or a pipe may lack characters (cp1252 on Windows), a stream may be closed (`>&-`), the program that reads a
pipe may have ended, and the disk behind a file may be full.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from typing import Any, TextIO

_DESCRIPTORS = (0, 1, 2)


class GuardedStream:
    """A text stream that drops what it cannot write, and remembers why. Everything else it leaves to the stream."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.error: OSError | None = None

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError as error:
            self._give_up(error)
        return len(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            self._give_up(error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _give_up(self, error: OSError) -> None:
        """Sends this and all that follows nowhere: else Python tries again when it ends, and prints a traceback."""
        if self.error is None:
            self.error = error
        with contextlib.suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)


def open_missing_streams() -> bool:
    """Opens the null device in place of standard streams that are closed.

    The system gives the number of a closed stream to the next file that is opened, so a library that prints would write
    into that file.

    Returns:
        Whether standard output was open.
    """
    output_was_open = sys.stdout is not None
    for number in _DESCRIPTORS:
        try:
            os.fstat(number)
        except OSError:
            nowhere = os.open(os.devnull, os.O_RDWR)
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
            os.set_inheritable(number, True)
    if sys.stdin is None:
        sys.stdin = os.fdopen(0, closefd=False, encoding="utf-8")
    for name, number in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "w", closefd=False, encoding="utf-8"))
    return output_was_open


@contextlib.contextmanager
def guarded_streams() -> Iterator[GuardedStream]:
    """Guards standard output and standard error inside the block; yields the former.

    Characters that the encoding of a stream lacks are printed as escapes.
    """
    before = sys.stdout, sys.stderr
    for stream in before:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    output = GuardedStream(sys.stdout)
    sys.stdout, sys.stderr = output, GuardedStream(sys.stderr)
    try:
        yield output
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        sys.stdout, sys.stderr = before

"""Progress of long work: one protocol from the innermost loop to the terminal.

A function that runs for seconds or more takes `progress: Progress = SILENT`. The caller implements the protocol: the
command line draws bars, a notebook or a server may do something else, and `SILENT` does nothing. Public functions that
may download weights have the default `DOWNLOADS`, which shows downloads in a terminal and nothing else.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Mapping
from typing import Literal, Protocol

from rapidseg.core.printable import printable

Unit = Literal["items", "bytes"]

Counter = Callable[[int, int | None], None]
"""Called with the number of finished units and their total, or None where the total is unknown."""


class Progress(Protocol):
    """Receives progress reports. It is called often, from the thread that does the work, so it must return quickly."""

    def update(self, task: str, done: int, total: int | None, *, unit: Unit = "items") -> None:
        """Reports how far a task is.

        Args:
            task: its name, the same in every call; shown to the user, such as `evaluating`.
            done: finished units; may start above zero where work is resumed, and may go back to zero.
            total: all units; None where that is unknown.
            unit: what is counted.
        """

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Reports measured values of a step, such as `train/loss`."""

    def message(self, text: str) -> None:
        """Reports something that the user should know now, in one sentence."""


class NullProgress:
    """Ignores every report."""

    def update(self, task: str, done: int, total: int | None, *, unit: Unit = "items") -> None: ...

    def metrics(self, step: int, values: Mapping[str, float]) -> None: ...

    def message(self, text: str) -> None: ...

    def __repr__(self) -> str:
        """Returns the name under which signatures show it as a default."""
        return "SILENT"


SILENT = NullProgress()


class DownloadLine(NullProgress):
    """Shows downloads in one line on standard error, if that is a terminal; ignores every other report."""

    _REDRAW_S = 0.1

    def __init__(self) -> None:
        self._task: str | None = None  # whose line is on the screen and not ended
        self._first = self._last = (0.0, 0)  # seconds and bytes of the first and of the last drawing

    def update(self, task: str, done: int, total: int | None, *, unit: Unit = "items") -> None:
        if unit != "bytes" or sys.stderr is None or not sys.stderr.isatty():
            return
        now = time.monotonic()
        if task != self._task:
            self.end()
            self._task, self._first = task, (now, done)
        elif now - self._last[0] < self._REDRAW_S and done != total:
            return
        self._last = now, done
        columns = shutil.get_terminal_size().columns - 1  # a full line would scroll
        figures = self._figures(done, total)
        task = printable(task)
        name = task if len(task) + len(figures) <= columns else f"{task[: max(0, columns - len(figures) - 3)]}..."
        sys.stderr.write(f"\r{f'{name}{figures}'[:columns]:<{columns}}")
        sys.stderr.flush()
        if done == total:
            self.end()

    def end(self) -> None:
        """Ends the line, so that what is printed next does not follow it."""
        if self._task is not None:
            self._task = None
            sys.stderr.write("\n")
            sys.stderr.flush()

    def __repr__(self) -> str:
        """Returns the name under which signatures show it as a default."""
        return "DOWNLOADS"

    def _figures(self, done: int, total: int | None) -> str:
        of_total = "" if not total else f" of {total / 1e6:.1f} MB ({done / total:.0%})"
        seconds, received = self._last[0] - self._first[0], done - self._first[1]
        rate = f", {received / seconds / 1e6:.1f} MB/s" if seconds > 0 and received > 0 else ""
        return f": {done / 1e6:.1f}{of_total or ' MB'}{rate}"


DOWNLOADS = DownloadLine()


class TaskCounter:
    """Reports one task, for code that only counts. It is a `Counter`."""

    def __init__(self, progress: Progress, task: str, unit: Unit) -> None:
        self._progress, self._task, self._unit = progress, task, unit

    def __call__(self, done: int, total: int | None) -> None:
        self._progress.update(self._task, done, total, unit=self._unit)

    def end(self) -> None:
        """Says that no more reports come, also after an error."""
        if isinstance(self._progress, DownloadLine):
            self._progress.end()


def counter(progress: Progress, task: str, *, unit: Unit = "items") -> TaskCounter:
    """Returns a function that reports one task, for code that only counts."""
    return TaskCounter(progress, task, unit)

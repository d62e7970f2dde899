"""Progress of long work: one protocol from the innermost loop to the terminal.

A function that runs for seconds or more takes `progress: Progress = SILENT`. The caller implements the protocol: the
command line draws bars, a notebook or a server may do something else, and `SILENT` does nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, Protocol

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


SILENT = NullProgress()


def counter(progress: Progress, task: str, *, unit: Unit = "items") -> Counter:
    """Returns a function that reports one task, for code that only counts."""

    def report(done: int, total: int | None) -> None:
        progress.update(task, done, total, unit=unit)

    return report

"""How long work reports its progress: one protocol from the deepest loop to the terminal.

A function that works for seconds or more takes `progress: Progress = SILENT`. Whoever watches implements the protocol:
the command line draws bars, a notebook or a server may do something else, and `SILENT` does nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, Protocol

Unit = Literal["items", "bytes"]

Counter = Callable[[int, int | None], None]
"""Is called with the number done and the number in all, or None where that is unknown."""


class Progress(Protocol):
    """Watches work. Calls come from the thread that does the work, often: they must return quickly."""

    def update(self, task: str, done: int, total: int | None, *, unit: Unit = "items") -> None:
        """Says how far a task is.

        Args:
            task: its name, the same in every call; also what a person reads, such as `evaluating`.
            done: how many units are done; may start above zero where work is resumed, and start again.
            total: how many there are; None where that is unknown.
            unit: what is counted.
        """

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Reports measured values of a step, such as `train/loss`."""

    def message(self, text: str) -> None:
        """Reports something that a person should know now, in one sentence."""


class NullProgress:
    """Watches nothing."""

    def update(self, task: str, done: int, total: int | None, *, unit: Unit = "items") -> None: ...

    def metrics(self, step: int, values: Mapping[str, float]) -> None: ...

    def message(self, text: str) -> None: ...


SILENT = NullProgress()


def counter(progress: Progress, task: str, *, unit: Unit = "items") -> Counter:
    """Returns a function that reports one task: for code that has only one thing to count."""

    def report(done: int, total: int | None) -> None:
        progress.update(task, done, total, unit=unit)

    return report

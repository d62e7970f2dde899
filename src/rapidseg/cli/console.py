"""What the commands share for talking to a person or a program."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.text import Text

if TYPE_CHECKING:
    from rapidseg.runtime.engines import Engine

console = Console()  # results, on standard output
errors = Console(stderr=True)  # messages and progress, on standard error


class _RateColumn(ProgressColumn):
    """Finished steps a second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:.1f}/s" if speed else "-/s", style="progress.data.speed")


def progress() -> Progress:
    """Returns a progress display on standard error: description, bar, count, rate and ETA.

    Nothing is drawn where standard error is not a terminal.
    """
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _RateColumn(),
        TextColumn("ETA"),
        TimeRemainingColumn(),
        console=errors,
        transient=True,
        disable=not errors.is_terminal,
    )


@contextmanager
def download_progress() -> Iterator[Callable[[int, int | None], None]]:
    """Gives a function that shows bytes done and bytes in all, or None, on standard error: bar, MB, MB/s and ETA.

    Nothing is drawn before the first call, or where standard error is not a terminal.
    """
    display = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TextColumn("ETA"),
        TimeRemainingColumn(),
        console=errors,
        transient=True,
        disable=not errors.is_terminal,
    )
    task = display.add_task("downloading", total=None, visible=False)

    def report(done: int, total: int | None) -> None:
        display.update(task, completed=done, total=total, visible=True)

    with display:
        yield report


def warn_of_engine(engine: Engine) -> None:
    """Prints on standard error what a person must be told about what was taken."""
    if engine.warning is not None:
        errors.print(f"[bold yellow]note:[/] {escape(engine.warning)}", soft_wrap=True, highlight=False)


def print_json(document: Mapping[str, Any] | Sequence[Any]) -> None:
    """Prints one JSON document on standard output, with nothing else around it."""
    json.dump(document, sys.stdout, indent=2, allow_nan=False, default=str)
    sys.stdout.write("\n")

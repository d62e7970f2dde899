"""What all commands share for their output: the two consoles, progress bars, notes, errors and JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.segment import Segment
from rich.text import Text

from rapidseg.cli.interrupts import raise_pending_interrupt
from rapidseg.core.printable import printable

if TYPE_CHECKING:
    from rapidseg.core.progress import Unit


class SafeConsole(Console):
    """A console on which names of files cannot act: control characters in text are printed as escapes."""

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(printable(text), **options)  # before cells of tables are measured

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(printable(segment.text), segment.style)


console = SafeConsole()  # results, on standard output
errors = SafeConsole(stderr=True)  # messages and progress, on standard error


class Report(Protocol):
    """What a workflow returns."""

    def to_dict(self) -> dict[str, Any]:
        """Returns everything for JSON."""


class _RateColumn(ProgressColumn):
    """Finished items per second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:.1f}/s" if speed else "-/s", style="progress.data.speed")


class ProgressDisplay:
    """Shows progress on standard error: one bar per task, with count or bytes, rate and ETA.

    It is a `rapidseg.core.progress.Progress`, used as a context manager. Nothing is drawn where standard error is not a
    terminal, but messages are printed all the same.
    """

    def __init__(self) -> None:
        shared: dict[str, Any] = {"console": errors, "transient": True, "disable": not errors.is_terminal}
        self._items = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            _RateColumn(),
            TextColumn("ETA"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[metrics]}"),
            **shared,
        )
        self._bytes = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TextColumn("ETA"),
            TimeRemainingColumn(),
            **shared,
        )
        self._live = Live(Group(self._bytes, self._items), console=errors, transient=True, refresh_per_second=8)
        self._tasks: dict[str, TaskID] = {}
        self._last: str | None = None

    def __enter__(self) -> ProgressDisplay:
        if errors.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if errors.is_terminal:
            self._live.stop()

    def update(self, task: str, done: int, total: int | None, *, unit: Unit = "items") -> None:
        raise_pending_interrupt()
        display = self._bytes if unit == "bytes" else self._items
        if task not in self._tasks:
            self._tasks[task] = display.add_task(task, total=total, completed=done, metrics="")
        display.update(self._tasks[task], completed=done, total=total)
        if unit == "items":
            self._last = task

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        if self._last is not None:
            text = "  ".join(f"{name.rpartition('/')[2]} {value:.4g}" for name, value in values.items())
            self._items.update(self._tasks[self._last], metrics=text)

    def message(self, text: str) -> None:
        errors.print(escape(text), soft_wrap=True, highlight=False)


def print_error(text: str) -> None:
    """Prints why a command failed to standard error."""
    errors.print(f"[bold red]error:[/] {escape(text)}", soft_wrap=True, highlight=False)


def print_interrupted(text: str) -> None:
    """Prints to standard error that the user ended a command, and what it had done; empty: nothing to tell."""
    errors.print(f"interrupted: {escape(text)}" if text else "interrupted", soft_wrap=True, highlight=False)


def print_warning(text: str) -> None:
    """Prints to standard error what makes a result less than it seems."""
    errors.print(f"[bold yellow]warning:[/] {escape(text)}", soft_wrap=True, highlight=False)


def print_note(text: str) -> None:
    """Prints to standard error something that is good to know."""
    errors.print(f"[bold yellow]note:[/] {escape(text)}", soft_wrap=True, highlight=False)


def print_line(text: str) -> None:
    """Prints a line of plain text to standard output, not wrapped, so that paths and commands can be copied."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def print_json(document: Mapping[str, Any] | Sequence[Any]) -> None:
    """Prints one JSON document to standard output, in ASCII, with nothing else around it."""
    json.dump(document, sys.stdout, indent=2, allow_nan=False, default=str)
    sys.stdout.write("\n")


def show_report(report: Report, as_json: bool, print_report: Callable[[Any], None]) -> None:
    """Shows the report of a workflow: as one JSON document on standard output, or as people read it.

    Args:
        report: what the workflow returned.
        as_json: whether `--json` was given.
        print_report: prints the report for people.
    """
    if as_json:
        print_json(report.to_dict())
    else:
        print_report(report)

"""Tables and cells that `rapidseg benchmark` and `rapidseg tune` share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.measure import Measurement as Widths
from rich.table import Table

from rapidseg.cli.console import SafeConsole, console

if TYPE_CHECKING:
    from rapidseg.benchmarking.summary import Summary

_MAX_WIDTH = 200  # columns


def new_table(title: str) -> Table:
    """Returns an empty table with a title."""
    return Table(title=escape(title), title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)


def add_number_columns(table: Table, *headings: str) -> None:
    """Adds a right-aligned column for each heading."""
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)


def print_table(table: Table) -> None:
    """Prints a table at its full width, even if the console is narrower, so that no number is cut off."""
    wide = SafeConsole(width=_MAX_WIDTH)
    SafeConsole(width=max(console.width, Widths.get(wide, wide.options, table).maximum)).print(table)


def summary_cell(summary: Summary) -> str:
    """Returns the median, and below it the 5th and 95th percentile."""
    return f"{format_number(summary.median)}\n{_range(summary)}"


def ratio_cell(summary: Summary) -> str:
    """Returns the median of a ratio, such as `3.2x`, and below it the 5th and 95th percentile."""
    return f"{summary.median:.1f}x\n{_range(summary)}"


def miou_cell(mean_iou: float | None) -> str:
    """Returns a mIoU with four decimals, or `-` where it is unknown."""
    return "-" if mean_iou is None else f"{mean_iou:.4f}"


def format_number(value: float) -> str:
    """Returns a positive number with at least three significant digits."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _range(summary: Summary) -> str:
    return f"[dim]{_two_digits(summary.p5)}-{_two_digits(summary.p95)}[/]"


def _two_digits(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}" if value >= 1 else f"{value:.2f}"

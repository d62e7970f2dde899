"""The output of `rapidseg tune`: the table of trials, and the selection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from rapidseg.cli.console import errors, print_warning
from rapidseg.cli.tables.measurement_cells import (
    add_number_columns,
    format_number,
    miou_cell,
    new_table,
    print_table,
    summary_cell,
)
from rapidseg.core.sizes import format_size

if TYPE_CHECKING:
    from rapidseg.workflows.tune import TuningReport


def show_tuning(report: TuningReport, *, table: bool) -> None:
    """Prints the table to standard output if requested, and the selection to standard error."""
    if table:
        print_table(trials_table(report))
    for warning in report.warnings:
        print_warning(warning)
    best = report.best
    mean_iou = "" if best.mean_iou is None else f", mIoU {best.mean_iou:.4f}"
    lines = [
        f"{best.configuration.label} at {format_size(best.input_size_hw)}: {best.frames_per_s:.1f} FPS{mean_iou}; "
        f"{report.reason}",
        f"wrote {report.path}" if report.met else "no file written",
    ]
    for line in lines:
        errors.print(escape(line), highlight=False, soft_wrap=True)


def trials_table(report: TuningReport) -> Table:
    """Returns all trials, fastest first; `*` marks the selected trial, `-` the closest one if the target is not met."""
    table = new_table("trials, from image in memory to class map in memory")
    table.add_column("")
    table.add_column("configuration", no_wrap=True)
    add_number_columns(table, "input size", "ms", "FPS", "mIoU")
    for trial in report.trials:
        table.add_row(
            ("*" if report.met else "-") if trial is report.best else "",
            escape(f"{trial.configuration.name} {trial.engine} {trial.precision}"),
            format_size(trial.input_size_hw),
            summary_cell(trial.path_ms),
            format_number(trial.frames_per_s),
            miou_cell(trial.mean_iou),
        )
    return table

"""Tables of evaluations and of their comparison."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from rapidseg.cli.console import console, print_line
from rapidseg.core.wording import count_of

if TYPE_CHECKING:
    from rapidseg.evaluation import ImageScore, Scores
    from rapidseg.evaluation.report import Change
    from rapidseg.workflows.evaluate import EvaluationReport
    from rapidseg.workflows.report import ComparisonReport


def print_report(report: EvaluationReport) -> None:
    """Prints scores by class, their means, the worst images and all warnings."""
    run = report.run
    title = (
        f"{run.model} ({run.engine}, {run.precision}) on {run.dataset} {run.split}, "
        f"{count_of(run.num_images, 'image')}; {run.protocol['description']}"
    )
    if run.class_mapping is not None:
        title += f"; class mapping {run.class_mapping}"
    print_line(title)
    console.print(_score_table(report))
    if report.worst:
        console.print(_worst_table(report.worst))
    for warning in report.warnings:
        print_result_warning(warning)


def print_comparison(report: ComparisonReport) -> None:
    """Prints what changed from run A to run B: classes, means and images."""
    for letter, run in (("A", report.first), ("B", report.second)):
        print_line(f"{letter}: {run.title}; {run.protocol['description']}")
    table = Table()
    table.add_column("IoU")
    for heading in ("A", "B", "B - A"):
        table.add_column(heading, justify="right")
    _add_changes(table, report.classes)
    table.add_section()
    _add_changes(table, report.means)
    for heading, changes in (("largest losses", report.lost), ("largest gains", report.gained)):
        if changes:
            table.add_section()
            table.add_row(heading, style="bold")
            _add_changes(table, changes)
    console.print(table)
    for warning in report.warnings:
        print_result_warning(warning)


def print_result_warning(text: str) -> None:
    """Prints a warning that belongs to a result, to where the result is printed."""
    console.print(f"[bold yellow]warning:[/] {escape(text)}", highlight=False, soft_wrap=True)


def _score_table(report: EvaluationReport) -> Table:
    evaluation = report.evaluation
    table = Table()
    table.add_column("class")
    table.add_column("IoU", justify="right")
    table.add_column("accuracy", justify="right")
    _add_scores(table, evaluation.labels.names, evaluation.scores)
    table.add_section()
    scores = evaluation.scores
    table.add_row("mean (mIoU, mean accuracy)", _score(scores.mean_iou), _score(scores.mean_accuracy), style="bold")
    table.add_row("pixel accuracy", "", _score(scores.pixel_accuracy), style="bold")
    if (categories := evaluation.category_scores) is not None:
        table.add_section()
        _add_scores(table, [f"category {name}" for name in evaluation.labels.category_names], categories)
        means = _score(categories.mean_iou), _score(categories.mean_accuracy)
        table.add_row("mean of the categories", *means, style="bold")
    return table


def _add_scores(table: Table, names: Sequence[str], scores: Scores) -> None:
    for name, iou, accuracy in zip(names, scores.iou, scores.accuracy, strict=True):
        table.add_row(escape(name), _score(iou), _score(accuracy))


def _worst_table(images: Sequence[ImageScore]) -> Table:
    table = Table()
    table.add_column("worst images")
    table.add_column("mIoU", justify="right")
    table.add_column("pixel accuracy", justify="right")
    for image in images:
        table.add_row(escape(image.name), _score(image.mean_iou), _score(image.pixel_accuracy))
    return table


def _add_changes(table: Table, changes: Sequence[Change]) -> None:
    for change in changes:
        scores = (_score(change.first), _score(change.second), _score(change.difference, "+"))
        table.add_row(escape(change.name), *scores)


def _score(value: float, sign: str = "") -> str:
    return "-" if math.isnan(value) else f"{value:{sign}.3f}"

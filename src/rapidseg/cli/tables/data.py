"""Output of `rapidseg data`: the check of a data set, masks and scenes that were drawn."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from rapidseg.cli.console import console, errors, print_line
from rapidseg.core.wording import count_of

if TYPE_CHECKING:
    from rapidseg.data.checks.check_report import CheckReport, FileFinding, Finding
    from rapidseg.workflows.data import PreparationReport, ScenesReport

_SHOWN = 20  # files that are listed of each finding


def print_check(report: CheckReport) -> None:
    """Prints the classes of each split, every finding with its files, and whether training can start."""
    console.print(_class_table(report))
    for finding in report.findings:
        _print_finding(finding, report.root)
    num_errors = sum(finding.severity == "error" for finding in report.findings)
    num_warnings = len(report.findings) - num_errors
    pairs = count_of(sum(split.num_pairs for split in report.splits), "image/mask pair")
    summary = f"{pairs}, {count_of(num_errors, 'error')}, {count_of(num_warnings, 'warning')}."
    if report.ok:
        console.print(f"[bold green]OK:[/] {summary} Ready to train.", highlight=False, soft_wrap=True)
    else:
        console.print(
            f"[bold red]Not OK:[/] {summary} Fix the errors before training.", highlight=False, soft_wrap=True
        )


def print_preparation(report: PreparationReport) -> None:
    """Prints how many masks were drawn, and the polygon files that were skipped."""
    masks = report.masks
    for file in masks.broken[:_SHOWN]:
        line = f"{file.path.relative_to(masks.root)}: {file.reason}"
        errors.print(f"[bold red]skipped:[/] {escape(line)}", soft_wrap=True, highlight=False)
    if len(masks.broken) > _SHOWN:
        errors.print(f"... and {len(masks.broken) - _SHOWN} more; --json lists all", highlight=False)
    skipped = f", {len(masks.broken)} skipped" if masks.broken else ""
    files = count_of(masks.num_annotations, "polygon file")
    print_line(
        f"{masks.root}: {files}{skipped}; {count_of(masks.num_drawn, 'mask')} drawn, {masks.num_kept} already existed"
    )
    print_line(f"check them with: rapidseg data check cityscapes --root {masks.root}")


def print_scenes(report: ScenesReport) -> None:
    """Prints how many scenes were drawn."""
    written = report.written
    print_line(
        f"{written.root}: {count_of(written.num_train, 'scene')} for train, {written.num_val} for val "
        f"({written.num_drawn} drawn, {written.num_kept} already existed)"
    )
    print_line(f"check them with: rapidseg data check cityscapes --root {written.root}")


def _class_table(report: CheckReport) -> Table:
    table = Table(title=escape(f"{report.name}: share of the labeled pixels, and images that contain the class"))
    table.add_column("id", justify="right")
    table.add_column("class")
    for split in report.splits:
        table.add_column(f"{escape(split.name)} %", justify="right")
        table.add_column("images", justify="right")
    for index, name in enumerate(report.labels.names):
        cells = [[f"{100 * split.class_share(index):.3f}", str(split.class_images[index])] for split in report.splits]
        table.add_row(str(index), escape(name), *(cell for pair in cells for cell in pair))
    table.add_section()
    ignored = [[f"{100 * split.ignored_share:.3f}", ""] for split in report.splits]
    table.add_row("", "ignored, of all pixels", *(cell for pair in ignored for cell in pair))
    read = [["", str(split.num_read)] for split in report.splits]
    table.add_row("", "masks read", *(cell for pair in read for cell in pair))
    return table


def _print_finding(finding: Finding, root: Path) -> None:
    color = "red" if finding.severity == "error" else "yellow"
    number = f": {len(finding.files)}" if finding.files else ""
    console.print(
        f"[bold {color}]{finding.severity}[/] {escape(finding.split)}: {escape(finding.message)}{number}",
        highlight=False,
        soft_wrap=True,
    )
    for file in finding.files[:_SHOWN]:
        print_line(f"    {_file_line(file, root)}")
    if len(finding.files) > _SHOWN:
        print_line(f"    ... and {len(finding.files) - _SHOWN} more; --json lists all")
    if finding.advice:
        console.print(f"    [bold]advice:[/] {escape(finding.advice)}", highlight=False, soft_wrap=True)


def _file_line(file: FileFinding, root: Path) -> str:
    path = file.path.relative_to(root) if file.path.is_relative_to(root) else file.path
    return f"{path}: {file.detail}"

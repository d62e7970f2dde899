"""`rapidseg data`, and `data check`: look through a data set before training does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from rapidseg.cli import prepare, synth
from rapidseg.cli.console import console, print_json, progress
from rapidseg.cli.help import examples
from rapidseg.cli.options.common import DatasetArgument, JsonOption

if TYPE_CHECKING:
    from rapidseg.data.checks.check_report import CheckReport, FileFinding, Finding

_SHOWN = 20  # files that are listed of each finding


def register(app: typer.Typer) -> None:
    """Adds `data` with its commands."""
    data_app = typer.Typer(
        no_args_is_help=True,
        epilog=examples("rapidseg data check my-streets.yaml", "rapidseg data synth scenes --images 200"),
    )
    data_app.command(
        epilog=examples(
            "rapidseg data check my-streets.yaml", "rapidseg data check camvid --root camvid --split train+val --json"
        )
    )(check)
    prepare.register(data_app)
    synth.register(data_app)
    app.add_typer(data_app, name="data", help="Prepare a data set, check it, or draw one.")


def check(
    dataset: DatasetArgument,
    root: Annotated[
        Path | None, typer.Option(help="The data set's folder; a YAML file may state it itself.", show_default=False)
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="Splits to read, such as train or train+val.", show_default="all")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Threads that read files.", show_default="one for each processor, up to 8")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Read every image and mask, and report what would make training go wrong.

    Exit status: 0, training can start (there may be warnings); 2, it would go wrong.
    """
    from rapidseg.data import check_dataset, open_layout
    from rapidseg.data.opening import split_names

    layout = open_layout(dataset, root)
    splits = layout.splits() if split is None else split_names(layout, split)
    with progress() as display:
        tasks = {name: display.add_task(name, total=None) for name in splits}
        report = check_dataset(
            layout,
            splits,
            workers=workers,
            progress=lambda name, done, total: display.update(tasks[name], completed=done, total=total),
        )
    if json:
        print_json(report.to_dict())
    else:
        _print_report(report)
    if not report.ok:
        raise typer.Exit(2)


def _print_report(report: CheckReport) -> None:
    console.print(_class_table(report))
    for finding in report.findings:
        _print_finding(finding, report.root)
    errors = sum(finding.severity == "error" for finding in report.findings)
    warnings = len(report.findings) - errors
    pairs = sum(split.num_pairs for split in report.splits)
    found = f"{pairs} pairs, {errors} kinds of error, {warnings} of warning"
    if report.ok:
        console.print(f"[bold green]ok:[/] {found}: training can start", highlight=False, soft_wrap=True)
    else:
        console.print(f"[bold red]not ok:[/] {found}: training would go wrong", highlight=False, soft_wrap=True)


def _class_table(report: CheckReport) -> Table:
    table = Table(title=escape(f"{report.name}: share of the labeled pixels, and images with the class"))
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
    count = f": {len(finding.files)}" if finding.files else ""
    console.print(
        f"[bold {color}]{finding.severity}[/] {escape(finding.split)}: {escape(finding.message)}{count}",
        highlight=False,
        soft_wrap=True,
    )
    for file in finding.files[:_SHOWN]:
        console.print(f"    {escape(_file_line(file, root))}", highlight=False, soft_wrap=True)
    if len(finding.files) > _SHOWN:
        console.print(f"    ... and {len(finding.files) - _SHOWN} more; --json lists all", highlight=False)
    if finding.advice:
        console.print(f"    [bold]advice:[/] {escape(finding.advice)}", highlight=False, soft_wrap=True)


def _file_line(file: FileFinding, root: Path) -> str:
    path = file.path.relative_to(root) if file.path.is_relative_to(root) else file.path
    return f"{path}: {file.detail}"

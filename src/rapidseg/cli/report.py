"""`rapidseg report`: one evaluation as a page, or two side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from rapidseg.cli.console import console, print_json
from rapidseg.cli.help import examples
from rapidseg.cli.options.common import JsonOption

if TYPE_CHECKING:
    from rapidseg.evaluation.report import Change, Comparison


def register(app: typer.Typer) -> None:
    """Adds `report`."""
    app.command(
        epilog=examples("rapidseg report test.json", "rapidseg report before.json after.json -o comparison.html")
    )(report)


def report(
    first: Annotated[
        Path,
        typer.Argument(metavar="A", help="JSON document that `rapidseg eval --output` wrote.", show_default=False),
    ],
    second: Annotated[
        Path | None, typer.Argument(metavar="B", help="Another one, to be compared with A.", show_default=False)
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="HTML file to write.")] = Path("report.html"),
    images: Annotated[int, typer.Option(min=1, help="How many images to show of each kind.")] = 5,
    as_json: JsonOption = False,
) -> None:
    """Show one evaluation, or what changed from one to another, as a page that opens in any browser.

    Pictures are there if the runs saved their predictions (`rapidseg eval --save`) and those are still in their place.
    """
    from rapidseg.evaluation.report import Comparison, SavedImages, page, read_run

    run = read_run(first)
    if second is None:
        pictures = SavedImages({"prediction": run})
        worst = pictures.rows({image.name: f"mIoU {image.mean_iou:.3f}" for image in run.worst(images)})
        best = pictures.rows({image.name: f"mIoU {image.mean_iou:.3f}" for image in run.best(images)})
        page.write_run_page(output, run, worst=worst, best=best)
        document = {"written": str(output)}
    else:
        comparison = Comparison(run, read_run(second))
        pictures = SavedImages({"prediction of A": comparison.first, "prediction of B": comparison.second})
        lost = pictures.rows({change.name: str(change) for change in comparison.lost(images)})
        gained = pictures.rows({change.name: str(change) for change in comparison.gained(images)})
        page.write_comparison_page(output, comparison, num_images=images, lost=lost, gained=gained)
        document = {"written": str(output), **comparison.to_dict(images)}
        if not as_json:
            _print_comparison(comparison, images)
    if as_json:
        print_json(document)
    else:
        console.print(f"wrote {escape(str(output))}", highlight=False, soft_wrap=True)


def _print_comparison(comparison: Comparison, num_images: int) -> None:
    for letter, run in (("A", comparison.first), ("B", comparison.second)):
        described = f"{letter}: {run.title}; {run.protocol['description']}"
        console.print(escape(described), highlight=False, soft_wrap=True)
    table = Table()
    table.add_column("IoU")
    for heading in ("A", "B", "B - A"):
        table.add_column(heading, justify="right")
    _add_rows(table, comparison.classes)
    table.add_section()
    _add_rows(table, comparison.means)
    for heading, changes in (
        ("images that lost most", comparison.lost(num_images)),
        ("images that gained most", comparison.gained(num_images)),
    ):
        if changes:
            table.add_section()
            table.add_row(heading, style="bold")
            _add_rows(table, changes)
    console.print(table)


def _add_rows(table: Table, changes: Sequence[Change]) -> None:
    for change in changes:
        figures = (_figure(change.first), _figure(change.second), _figure(change.difference, "+"))
        table.add_row(escape(change.name), *figures)


def _figure(value: float, sign: str = "") -> str:
    return "-" if math.isnan(value) else f"{value:{sign}.3f}"

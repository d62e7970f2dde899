"""`rapidseg report`: an evaluation as a page, or two evaluations compared."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rapidseg.cli.completion import complete_document
from rapidseg.cli.console import print_json, print_line
from rapidseg.cli.help import OUTPUT, examples
from rapidseg.cli.options.common import JsonOption


def register(app: typer.Typer) -> None:
    """Adds `report`."""
    epilog = examples("rapidseg report test.json", "rapidseg report before.json after.json -o comparison.html")
    app.command(epilog=epilog)(report)


def report(
    first: Annotated[
        Path,
        typer.Argument(
            metavar="A",
            help="JSON document that rapidseg eval --output wrote.",
            show_default=False,
            autocompletion=complete_document,
        ),
    ],
    second: Annotated[
        Path | None,
        typer.Argument(
            metavar="B",
            help="Another document, to compare with A.",
            show_default=False,
            autocompletion=complete_document,
        ),
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="HTML file to write.", rich_help_panel=OUTPUT)] = Path(
        "report.html"
    ),
    images: Annotated[
        int, typer.Option("--images", min=1, help="How many images of each kind to show.", rich_help_panel=OUTPUT)
    ] = 5,
    as_json: JsonOption = False,
) -> None:
    """Write an HTML page of an evaluation, or of the differences between two evaluations.

    The page contains pictures if the evaluation saved its predictions (`rapidseg eval --save`) and they still exist.
    """
    from rapidseg.cli.tables.evaluate import print_comparison
    from rapidseg.workflows.report import compare_runs, open_run

    if second is None:
        open_run(first, images=images).to_html(output)
        document = {"written": str(output)}
    else:
        comparison = compare_runs((first, second), images=images)
        comparison.to_html(output)
        document = {"written": str(output), **comparison.to_dict()}
        if not as_json:
            print_comparison(comparison)
    if as_json:
        print_json(document)
    else:
        print_line(f"wrote {output}")

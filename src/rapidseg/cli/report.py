"""`rapidseg report`: an evaluation as a page, or two evaluations compared."""

from __future__ import annotations

from pathlib import Path

import typer

from rapidseg.cli.console import print_json, print_line
from rapidseg.cli.help import examples
from rapidseg.cli.options import details as options
from rapidseg.cli.options.common import JsonOption


def register(app: typer.Typer) -> None:
    """Adds `report`."""
    epilog = examples("rapidseg report test.json", "rapidseg report before.json after.json -o comparison.html")
    app.command(epilog=epilog)(report)


def report(
    first: options.DocumentArgument,
    second: options.SecondDocumentArgument = None,
    output: options.PageOption = Path("report.html"),
    images: options.ImagesOption = 5,
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

"""`rapidseg report`: an evaluation as a page, or two evaluations compared."""

from __future__ import annotations

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
    output: options.PageOption = None,
    images: options.ImagesOption = 5,
    as_json: JsonOption = False,
) -> None:
    """Write an HTML page of an evaluation, or of the differences between two evaluations.

    The page contains pictures if the evaluation saved its predictions (`rapidseg eval --save`) and they still exist.
    """
    from rapidseg.cli.tables.evaluate import print_comparison
    from rapidseg.workflows.report import compare_runs, default_page, open_run

    page = default_page() if output is None else output
    if second is None:
        page = open_run(first, images=images).to_html(page)
        document = {"written": str(page)}
    else:
        comparison = compare_runs((first, second), images=images)
        page = comparison.to_html(page)
        document = {"written": str(page), **comparison.to_dict()}
        if not as_json:
            print_comparison(comparison)
    if as_json:
        print_json(document)
    else:
        print_line(f"wrote {page}")

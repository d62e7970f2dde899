"""`rapidseg data prepare`: draw masks from the annotations that a data set publishes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from rapidseg.cli.console import ProgressDisplay, show_report
from rapidseg.cli.help import METHOD, examples
from rapidseg.cli.options.common import JsonOption
from rapidseg.cli.options.datasets import ProcessesOption

_ALL = "labelIds,labelTrainIds,instanceIds,instanceTrainIds"


def register(data_app: typer.Typer) -> None:
    """Adds `data prepare`."""
    epilog = examples(
        "rapidseg data prepare cityscapes cityscapes/",
        "rapidseg data prepare cityscapes cityscapes/ --labels labelTrainIds",
    )
    data_app.command(epilog=epilog)(prepare)


def prepare(
    dataset: Annotated[Literal["cityscapes"], typer.Argument(metavar="DATASET", help="cityscapes.")],
    root: Annotated[Path, typer.Argument(metavar="ROOT", help="Folder that contains gtFine, gtCoarse or both.")],
    labels: Annotated[
        str, typer.Option(metavar="KIND,...", help="Comma-separated kinds of masks to draw.", rich_help_panel=METHOD)
    ] = _ALL,
    workers: ProcessesOption = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Draw existing masks again.", rich_help_panel=METHOD)
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Draw the masks of Cityscapes from its polygon files, equal to those of the official scripts.

    Existing masks are kept: run the command again to resume after an interruption. Broken polygon files are reported
    and skipped; the exit status is then 1.
    """
    from rapidseg.cli.tables.data import print_preparation
    from rapidseg.workflows.data import prepare_data

    with ProgressDisplay() as progress:
        report = prepare_data(dataset, root, labels=labels, workers=workers, overwrite=overwrite, progress=progress)
    show_report(report, as_json, print_preparation)
    if not report.ok:
        raise typer.Exit(1)

"""`rapidseg data`, and `data check`: look through a data set before training does."""

from __future__ import annotations

import typer

from rapidseg.cli import prepare, synth
from rapidseg.cli.command_line import CommandLine
from rapidseg.cli.console import ProgressDisplay, show_report
from rapidseg.cli.help import examples
from rapidseg.cli.options.common import DatasetArgument, JsonOption, RootOption
from rapidseg.cli.options.datasets import SplitsOption, ThreadsOption


def register(app: typer.Typer) -> None:
    """Adds `data` with its commands."""
    data_app = CommandLine(
        no_args_is_help=True,
        epilog=examples("rapidseg data check my-streets.yaml", "rapidseg data synth scenes --images 200"),
    )
    epilog = examples(
        "rapidseg data check my-streets.yaml", "rapidseg data check camvid --root camvid --split train+val"
    )
    data_app.command(epilog=epilog)(check)
    prepare.register(data_app)
    synth.register(data_app)
    app.add_typer(data_app, name="data", help="Check a data set, draw its masks, or draw a data set of street scenes.")


def check(
    dataset: DatasetArgument,
    root: RootOption = None,
    split: SplitsOption = None,
    workers: ThreadsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Read every image and mask, and report what would make training fail or go wrong.

    Exit status: 0, ready to train, perhaps with warnings; 2, there are errors.
    """
    from rapidseg.cli.tables.data import print_check
    from rapidseg.workflows.data import check_data

    with ProgressDisplay() as progress:
        report = check_data(dataset, root=root, split=split, workers=workers, progress=progress)
    show_report(report, as_json, print_check)
    if not report.ok:
        raise typer.Exit(2)

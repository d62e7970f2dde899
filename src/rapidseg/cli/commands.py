"""Assembles the commands."""

from __future__ import annotations

import importlib
from typing import Annotated

import typer

from rapidseg import __version__
from rapidseg.cli.command_line import CommandLine
from rapidseg.cli.help import CONTEXT_SETTINGS, examples

app = CommandLine(
    name="rapidseg",
    help="Real-time semantic segmentation: train, evaluate, export and predict.",
    epilog=examples("rapidseg predict photo.jpg", "rapidseg eval best.safetensors --data my-streets.yaml"),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings=CONTEXT_SETTINGS,
)

# Each module has `register(app)`, which adds its command. Commands import what they need when they run.
COMMANDS = (
    "predict",
    "train",
    "pretrain",
    "evaluate",
    "report",
    "benchmark",
    "tune",
    "export",
    "import_",
    "models",
    "data",
    "doctor",
)


def _print_version(requested: bool) -> None:
    if requested:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Real-time semantic segmentation: train, evaluate, export and predict."""


for _name in COMMANDS:
    importlib.import_module(f"rapidseg.cli.{_name}").register(app)

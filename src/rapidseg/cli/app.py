"""Assembles the commands, and turns errors into messages and exit statuses.

Exit status: 0, everything that was asked for is done; 1, some of it could not be done; 2, the request was wrong;
130, interrupted.
"""

from __future__ import annotations

import importlib
import io
import sys
from typing import Annotated, NoReturn

import typer

from rapidseg import __version__
from rapidseg.cli.command_line import CommandLine
from rapidseg.cli.console import print_error
from rapidseg.cli.help import CONTEXT_SETTINGS, examples
from rapidseg.core.errors import RapidSegError
from rapidseg.core.extras import missing_package

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


def main() -> None:
    """Runs the command line and exits."""
    _escape_unencodable_characters()
    try:
        app()
    except RapidSegError as error:
        _fail(error)
    except ImportError as error:
        problem = missing_package(error)
        if problem is None:
            raise
        _fail(problem)


def _fail(error: RapidSegError) -> NoReturn:
    print_error(str(error))
    sys.exit(2)


def _escape_unencodable_characters() -> None:
    """Makes both streams print an escape for each character that the terminal's encoding lacks."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")

"""Assembles the commands, and turns errors into messages and exit statuses.

Exit status: 0, everything asked for was done; 1, a part could not be done; 2, a mistake in what was asked for;
130, interrupted.
"""

from __future__ import annotations

import importlib
import sys
from typing import Annotated, NoReturn

import typer
from rich.markup import escape

from rapidseg import __version__
from rapidseg.cli.console import errors
from rapidseg.core.errors import RapidSegError
from rapidseg.core.extras import missing_package

app = typer.Typer(
    name="rapidseg",
    help="Real-time semantic segmentation: train, evaluate, export and predict.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)

# Each module has `register(app)`, which adds its command. What a command needs is imported when it runs.
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


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and stop.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Real-time semantic segmentation: train, evaluate, export and predict."""


for _name in COMMANDS:
    importlib.import_module(f"rapidseg.cli.{_name}").register(app)


def main() -> None:
    """Runs the command line and exits."""
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
    errors.print(f"[bold red]error:[/] {escape(str(error))}", soft_wrap=True, highlight=False)
    sys.exit(2)

"""`rapidseg doctor`: check the installation, show which engine is used and why, run a self-test."""

from __future__ import annotations

from typing import Annotated

import typer

from rapidseg.cli.completion import complete_model
from rapidseg.cli.console import show_report
from rapidseg.cli.help import examples
from rapidseg.cli.options.common import JsonOption


def register(app: typer.Typer) -> None:
    """Adds `doctor`."""
    app.command(epilog=examples("rapidseg doctor", "rapidseg doctor model.onnx --json"))(doctor)


def doctor(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL",
            help="Model whose engine and precision to show.",
            show_default="the built-in Fast-SCNN",
            autocompletion=complete_model,
        ),
    ] = None,
    clear_cache: Annotated[
        bool,
        typer.Option("--clear-cache", help="First delete compiled code and compiled models from the cache."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Check the installation, show which engine is used and why, run a self-test.

    Exit status: 0, prediction works; 1, it does not.
    """
    from rapidseg.cli.tables.doctor import print_diagnosis
    from rapidseg.workflows.doctor import doctor as diagnose

    diagnosis = diagnose(model, clear_cache=clear_cache)
    show_report(diagnosis, as_json, print_diagnosis)
    if not diagnosis.ok:
        raise typer.Exit(1)

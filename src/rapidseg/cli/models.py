"""`rapidseg models`: architectures, recipes and models, and the details of one of them."""

from __future__ import annotations

import typer

from rapidseg.cli.cache import cache
from rapidseg.cli.command_line import CommandLine
from rapidseg.cli.console import show_report
from rapidseg.cli.help import examples
from rapidseg.cli.options import details as options
from rapidseg.cli.options.common import JsonOption
from rapidseg.cli.push import push

_BOTH = examples("rapidseg models", "rapidseg models show fast-scnn-camvid")
app = CommandLine(name="models", help="List architectures, recipes and models, show or push one.", epilog=_BOTH)


def register(parent: typer.Typer) -> None:
    """Adds `models` with its commands."""
    parent.add_typer(app)


@app.callback(invoke_without_command=True)
def models(context: typer.Context, as_json: JsonOption = False) -> None:
    """List everything if no command is given."""
    if context.invoked_subcommand is None:
        list_all(as_json)


@app.command("list", epilog=examples("rapidseg models list", "rapidseg models list --json"))
def list_all(as_json: JsonOption = False) -> None:
    """List every architecture, recipe and model with its scores, like `rapidseg models` alone."""
    from rapidseg.cli.tables.models import print_list
    from rapidseg.workflows.models import list_models

    show_report(list_models(), as_json, print_list)


@app.command(epilog=examples("rapidseg models show tiny", "rapidseg models show fast-scnn --input-size 512x1024"))
def show(
    name: options.NameArgument,
    num_classes: options.NumClassesOption = 19,
    input_size: options.NetworkSizeOption = "1024x2048",
    as_json: JsonOption = False,
) -> None:
    """Show details: scores, sources and commands of a model, text of a recipe, cost of an architecture."""
    from rapidseg.cli.tables.models import print_details
    from rapidseg.workflows.models import show_model

    details = show_model(name, num_classes=num_classes, input_size=input_size)
    show_report(details, as_json, print_details)


app.command(epilog=examples("rapidseg models cache", "rapidseg models cache --clear"))(cache)
_PUSH = "rapidseg models push best.safetensors ada/streets"
app.command(epilog=examples(_PUSH, "rapidseg models push best.onnx ada/streets --private"))(push)

"""`rapidseg models`: what there is to train and to run, and how large it is."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.table import Table

from rapidseg.cli.console import console, print_json
from rapidseg.cli.options import JsonOption, parse_size

app = typer.Typer(name="models", help="List the architectures, and show one with its size.", no_args_is_help=True)


def register(parent: typer.Typer) -> None:
    """Adds `models` with its commands."""
    parent.add_typer(app)


@app.command("list")
def list_architectures(json: JsonOption = False) -> None:
    """Lists the architectures and their variants."""
    from rapidseg.models import ARCHITECTURES

    if json:
        print_json([{"name": a.name, "paper": a.paper, "variants": list(a.variants)} for a in ARCHITECTURES.values()])
        return
    table = Table("architecture", "variants", "paper")
    for architecture in ARCHITECTURES.values():
        table.add_row(architecture.name, ", ".join(architecture.variants), architecture.paper)
    console.print(table)


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="Architecture, such as fast-scnn.")],
    num_classes: Annotated[int, typer.Option(min=2, max=255, help="Number of classes.")] = 19,
    size: Annotated[str, typer.Option(help="Input size as HEIGHTxWIDTH.")] = "1024x2048",
    json: JsonOption = False,
) -> None:
    """Shows an architecture: parameters and multiply-accumulates of each variant, and where variants differ."""
    from rapidseg.models import count_macs, count_parameters, create_model, get_architecture

    architecture = get_architecture(name)
    size_hw = parse_size(size)
    default = next(iter(architecture.variants.values())).model_dump(mode="json")
    variants: dict[str, dict[str, Any]] = {}
    for variant, options in architecture.variants.items():
        model = create_model(name, num_classes, variant=variant)
        variants[variant] = {
            "parameters": count_parameters(model),
            "parameters_with_aux_heads": count_parameters(model, aux_heads=True),
            "multiply_accumulates": count_macs(model, size_hw),
            "differs_in": {
                key: value for key, value in options.model_dump(mode="json").items() if value != default[key]
            },
        }
    if json:
        print_json(
            {
                "name": name,
                "paper": architecture.paper,
                "num_classes": num_classes,
                "size_hw": list(size_hw),
                "options": default,
                "variants": variants,
            }
        )
        return
    console.print(f"[bold]{name}[/]: {architecture.paper}")
    console.print(
        f"{num_classes} classes, multiply-accumulates for one {size_hw[0]}x{size_hw[1]} image", highlight=False
    )
    table = Table("variant")
    for heading in ("parameters", "with auxiliary heads", "multiply-accumulates"):
        table.add_column(heading, justify="right")
    for variant, figures in variants.items():
        table.add_row(
            variant,
            f"{figures['parameters']:,}",
            f"{figures['parameters_with_aux_heads']:,}",
            f"{figures['multiply_accumulates'] / 1e9:.2f} G",
        )
    console.print(table)
    for variant, figures in variants.items():
        if figures["differs_in"]:
            differs = ", ".join(f"{key}={value}" for key, value in figures["differs_in"].items())
            console.print(f"{variant} differs in {differs}", markup=False, highlight=False)

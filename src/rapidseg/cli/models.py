"""`rapidseg models`: what there is to train and to run, with its figures; and the whole of one of them."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from rapidseg.cli.completion import complete_any_name
from rapidseg.cli.console import console, print_json
from rapidseg.cli.help import examples
from rapidseg.cli.options.common import JsonOption
from rapidseg.core.sizes import parse_size

app = typer.Typer(
    epilog=examples("rapidseg models", "rapidseg models show fast-scnn-camvid"),
    name="models",
    help="List architectures, recipes and models with their figures, and show one of them.",
)


def register(parent: typer.Typer) -> None:
    """Adds `models` with its commands."""
    parent.add_typer(app)


@app.callback(invoke_without_command=True)
def models(context: typer.Context, json: JsonOption = False) -> None:
    """Lists every architecture, recipe and model with its figures."""
    if context.invoked_subcommand is None:
        list_all(json)


@app.command("list", epilog=examples("rapidseg models list", "rapidseg models list --json"))
def list_all(json: JsonOption = False) -> None:
    """Lists every architecture, recipe and model with its figures, as `rapidseg models` alone does."""
    from rapidseg import zoo
    from rapidseg.cli.tables import models as model_tables
    from rapidseg.recipes import recipe_names, summarize_recipe

    built_in = [(model, _spec(name)) for name, model in zoo.built_in_models().items()]
    recipes = [summarize_recipe(name) for name in recipe_names()]
    published = list(zoo.published_models().values())
    if json:
        print_json(
            {
                "architectures": [entry.model_dump(mode="json") for entry in zoo.architectures().values()],
                "built_in": [model_tables.built_in_document(model, spec) for model, spec in built_in],
                "published": [model_tables.published_document(model) for model in published],
                "recipes": [vars(recipe) for recipe in recipes],
            }
        )
        return
    for table in (
        model_tables.architecture_table(zoo.architectures().values()),
        model_tables.published_table(published, wide=console.width >= model_tables.WIDE),
        model_tables.measured_table(published, built_in),
        model_tables.recipe_table(recipes),
    ):
        console.print(table)
        console.print()
    console.print("The whole of one: rapidseg models show NAME", highlight=False)


@app.command(
    epilog=examples(
        "rapidseg models show fast-scnn-camvid", "rapidseg models show fast-scnn --input-size 512x1024 --json"
    )
)
def show(
    name: Annotated[
        str,
        typer.Argument(help="Architecture, recipe, or published or built-in model.", autocompletion=complete_any_name),
    ],
    num_classes: Annotated[int, typer.Option(min=2, max=255, help="Number of classes of an architecture.")] = 19,
    size: Annotated[
        str, typer.Option("--input-size", help="Input size of an architecture, as HEIGHTxWIDTH.")
    ] = "1024x2048",
    json: JsonOption = False,
) -> None:
    """Shows all about one: figures, sources and how to get a model; options and size of an architecture."""
    from rapidseg import zoo
    from rapidseg.cli.tables import models as model_tables
    from rapidseg.core.errors import ConfigError, nearest_hint
    from rapidseg.recipes import find_recipe, recipe_names, summarize_recipe

    if name in zoo.architectures():
        _show_architecture(name, num_classes, parse_size(size), json)
    elif name in zoo.published_models():
        model = zoo.find(name)
        if json:
            print_json(model_tables.published_document(model))
        else:
            model_tables.print_published(model)
    elif name in zoo.built_in_models():
        entry, spec = zoo.built_in_models()[name], _spec(name)
        if json:
            print_json({**model_tables.built_in_document(entry, spec), "spec": spec.model_dump(mode="json")})
        else:
            model_tables.print_built_in(entry, spec)
    elif name in recipe_names():
        text = find_recipe(name).read_text(encoding="utf-8")
        trains = [model.name for model in zoo.published_models().values() if model.recipe == name]
        if json:
            print_json({**vars(summarize_recipe(name)), "published": trains, "text": text})
        else:
            model_tables.print_recipe(name, text, trains)
    else:
        known = (*zoo.architectures(), *zoo.built_in_models(), *zoo.published_models(), *recipe_names())
        raise ConfigError(
            f"no architecture, model or recipe {name!r}{nearest_hint(name, known)}; `rapidseg models` lists them"
        )


def _spec(name: str) -> Any:
    from rapidseg.runtime.model_file import find_model, read_spec

    return read_spec(find_model(name))


def _show_architecture(name: str, num_classes: int, size_hw: tuple[int, int], json: bool) -> None:
    """Parameters and multiply-accumulates of each variant, and where variants differ. Needs PyTorch."""
    import torch

    from rapidseg import zoo
    from rapidseg.cli.tables import models as model_tables
    from rapidseg.models import count_macs, count_parameters, create_model, get_architecture

    architecture, entry = get_architecture(name), zoo.architectures()[name]
    default = next(iter(architecture.variants.values())).model_dump(mode="json")
    variants: dict[str, dict[str, Any]] = {}
    for variant, options in architecture.variants.items():
        with torch.device("meta"):  # shapes are all that counting needs
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
                **entry.model_dump(mode="json"),
                "num_classes": num_classes,
                "size_hw": list(size_hw),
                "options": default,
                "variants": variants,
            }
        )
    else:
        model_tables.print_architecture(entry, num_classes, size_hw, variants)

"""Options of `rapidseg train`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from rapidseg.cli import completion
from rapidseg.cli.help import METHOD, OUTPUT
from rapidseg.core.choices import TrainingDevice

RecipeArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="RECIPE",
        help="Name of a recipe, such as camvid/fast-scnn; a recipe file; or a YAML file that describes your own data. "
        "Not needed with --resume.",
        show_default=False,
        autocompletion=completion.complete_recipe,
    ),
]
OverridesArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="KEY=VALUE",
        help="Overrides of the recipe, such as optimizer.lr=0.05.",
        show_default=False,
        autocompletion=completion.complete_override,
    ),
]
OutputOption = Annotated[
    Path | None,
    typer.Option("--output", "-o", help="Folder for the run.", show_default=False, rich_help_panel=OUTPUT),
]
WeightsOption = Annotated[
    str | None,
    typer.Option(
        "--weights",
        metavar="MODEL",
        help="Initial weights: the name of a model, a checkpoint, its URL, or a pretrained encoder. Layers that do not "
        "fit start from random weights.",
        show_default="the recipe's",
        rich_help_panel=METHOD,
        autocompletion=completion.complete_model,
    ),
]
IterationsOption = Annotated[
    int | None,
    typer.Option(
        "--iterations",
        min=1,
        help="Optimizer steps; shortens evaluation, saving and warm-up intervals that do not fit.",
        show_default="the recipe's",
        rich_help_panel=METHOD,
    ),
]
ResumeOption = Annotated[
    bool, typer.Option("--resume", help="Resume the run in the output folder.", rich_help_panel=METHOD)
]
DeviceOption = Annotated[TrainingDevice, typer.Option("--device", help="Device to train on.", rich_help_panel=METHOD)]
DryRunOption = Annotated[
    bool,
    typer.Option(
        "--dry-run", help="Check recipe, data and network with one batch; write nothing.", rich_help_panel=METHOD
    ),
]


def separate_overrides(
    recipe: str | None, overrides: Sequence[str] | None, *, recipe_is_optional: bool
) -> tuple[str | None, list[str]]:
    """Returns recipe and overrides: where the recipe is optional, the first word may be an override."""
    words = list(overrides or [])
    if recipe is not None and "=" in recipe and recipe_is_optional:
        return None, [recipe, *words]
    return recipe, words

"""Options of `rapidseg pretrain`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rapidseg.cli import completion
from rapidseg.cli.help import DATA, METHOD
from rapidseg.cli.options.training import (
    DeviceOption,
    DryRunOption,
    OutputOption,
    ResumeOption,
    separate_overrides,
)

__all__ = ["DeviceOption", "DryRunOption", "OutputOption", "ResumeOption", "separate_overrides"]

_RECIPES = "the recipe's"

RecipeArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="RECIPE",
        help="Name of a pre-training recipe, such as byol_cifar10, or a recipe file. Not needed with --resume.",
        show_default="instance-discrimination_cifar10",
        autocompletion=completion.complete_pretraining_recipe,
    ),
]
OverridesArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="KEY=VALUE",
        help="Overrides of the recipe, such as data.train_limit=5000.",
        show_default=False,
        autocompletion=completion.complete_pretraining_override,
    ),
]
RootOption = Annotated[
    Path | None,
    typer.Option("--root", help="Folder or .zip file of the images.", show_default=False, rich_help_panel=DATA),
]
EpochsOption = Annotated[
    int | None,
    typer.Option("--epochs", min=1, help="Passes over the images.", show_default=_RECIPES, rich_help_panel=METHOD),
]
BatchSizeOption = Annotated[
    int | None,
    typer.Option("--batch-size", min=1, help="Images per step.", show_default=_RECIPES, rich_help_panel=METHOD),
]
FeatureDimOption = Annotated[
    int | None,
    typer.Option("--feature-dim", min=1, help="Length of a feature.", show_default=_RECIPES, rich_help_panel=METHOD),
]
NegativesOption = Annotated[
    int | None,
    typer.Option(
        "--m",
        min=0,
        help="Negatives per image; 0 computes the softmax over all images.",
        show_default=_RECIPES,
        rich_help_panel=METHOD,
    ),
]
TemperatureOption = Annotated[
    float | None,
    typer.Option(
        "--temperature",
        help="Temperature of the loss and of the nearest-neighbor score.",
        show_default=_RECIPES,
        rich_help_panel=METHOD,
    ),
]
MomentumOption = Annotated[
    float | None,
    typer.Option(
        "--momentum",
        help="Momentum of the memory bank, or of BYOL's moving average.",
        show_default=_RECIPES,
        rich_help_panel=METHOD,
    ),
]
NeighborsOption = Annotated[
    int | None,
    typer.Option(
        "--k",
        min=1,
        help="Nearest neighbors that vote in the score.",
        show_default=_RECIPES,
        rich_help_panel=METHOD,
    ),
]

"""Options of `rapidseg train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from rapidseg.cli import completion
from rapidseg.cli.help import METHOD, OUTPUT

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
TrainingDevice = Literal["auto", "cpu", "cuda"]
DeviceOption = Annotated[TrainingDevice, typer.Option("--device", help="Device to train on.", rich_help_panel=METHOD)]
DryRunOption = Annotated[
    bool,
    typer.Option(
        "--dry-run", help="Check recipe, data and network with one batch; write nothing.", rich_help_panel=METHOD
    ),
]

"""`rapidseg data synth`: draw labeled street scenes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rapidseg.cli.console import ProgressDisplay, show_report
from rapidseg.cli.help import METHOD, examples
from rapidseg.cli.options.common import JsonOption
from rapidseg.cli.options.datasets import ProcessesOption

_VAL_IMAGES = typer.Option(
    min=0, help="Scenes to draw for validation.", show_default="a fifth of --images", rich_help_panel=METHOD
)


def register(data_app: typer.Typer) -> None:
    """Adds `data synth`."""
    epilog = examples(
        "rapidseg data synth scenes --images 200",
        "rapidseg data synth scenes --images 50 --image-size 512x1024 --seed 7",
    )
    data_app.command(epilog=epilog)(synth)


def synth(
    output: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to write to; created if it does not exist.")],
    images: Annotated[int, typer.Option(min=1, help="Scenes to draw for training.", rich_help_panel=METHOD)],
    val_images: Annotated[int | None, _VAL_IMAGES] = None,
    seed: Annotated[int, typer.Option(min=0, help="Another seed draws other scenes.", rich_help_panel=METHOD)] = 0,
    image_size: Annotated[
        str, typer.Option(metavar="HxW", help="Size of the images in pixels.", rich_help_panel=METHOD)
    ] = "1024x2048",
    workers: ProcessesOption = None,
    as_json: JsonOption = False,
) -> None:
    """Draw labeled street scenes, in the layout of Cityscapes with its 19 classes.

    The same seed and size always give the same files. Existing scenes are kept: run the command again to resume after
    an interruption, or with more images to extend the data set.
    """
    from rapidseg.cli.tables.data import print_scenes
    from rapidseg.workflows.data import draw_scenes

    with ProgressDisplay() as progress:
        report = draw_scenes(
            output, images, val_images=val_images, seed=seed, image_size=image_size, workers=workers, progress=progress
        )
    show_report(report, as_json, print_scenes)

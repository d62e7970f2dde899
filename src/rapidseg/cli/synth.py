"""`rapidseg data synth`: draw labeled street scenes."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from rapidseg.cli.console import console, print_json, progress
from rapidseg.cli.help import examples
from rapidseg.cli.options.common import JsonOption
from rapidseg.core.sizes import parse_size


def register(data_app: typer.Typer) -> None:
    """Adds `data synth`."""
    data_app.command(
        epilog=examples(
            "rapidseg data synth scenes --images 200",
            "rapidseg data synth scenes --images 50 --image-size 512x1024 --seed 7",
        )
    )(synth)


def synth(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to write to; made if it is not there.")],
    images: Annotated[int, typer.Option(min=1, help="Scenes to draw for training.")],
    val_images: Annotated[
        int | None, typer.Option(min=0, help="Scenes to draw for validation.", show_default="a fifth of --images")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Another seed draws other scenes.")] = 0,
    size: Annotated[
        str, typer.Option("--image-size", metavar="HxW", help="Height and width of the images in pixels.")
    ] = "1024x2048",
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes that draw.", show_default="one for each processor")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Draw labeled street scenes, in the layout of Cityscapes with its 19 classes.

    The same seed and size always give the same files. Scenes that are there already are kept: run the command again to
    go on after an interruption, or to ask for more.
    """
    from rapidseg.scenes import write_dataset

    num_val_images = -(-images // 5) if val_images is None else val_images
    size_hw = parse_size(size)
    started = time.perf_counter()
    with progress() as display:
        task = display.add_task("drawing", total=images + num_val_images)
        written = write_dataset(
            out,
            images,
            num_val_images=num_val_images,
            seed=seed,
            size_hw=size_hw,
            workers=workers or os.cpu_count() or 1,
            progress=lambda done, total: display.update(task, completed=done, total=total),
        )
    if json:
        print_json(
            {
                "root": written.root,
                "seed": seed,
                "size_hw": size_hw,
                "train": written.num_train,
                "val": written.num_val,
                "drawn": written.num_drawn,
                "kept": written.num_kept,
                "seconds": round(time.perf_counter() - started, 3),
            }
        )
        return
    root = escape(str(written.root))
    console.print(
        f"{root}: {written.num_train} scenes for train, {written.num_val} for val "
        f"({written.num_drawn} drawn now, {written.num_kept} were there)",
        highlight=False,
        soft_wrap=True,
    )
    console.print(
        f"look through them with: rapidseg data check cityscapes --root {root}", highlight=False, soft_wrap=True
    )

"""Options of `rapidseg predict`."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from rapidseg.cli.help import OUTPUT
from rapidseg.core.choices import SaveKind


class Kind(str, Enum):
    """Kinds of pictures; an Enum, because Typer supports no lists of `Literal`."""

    CLASS_MAP = "class-map"
    OVERLAY = "overlay"
    CONFIDENCE = "confidence"


ImagesArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="PATH",
        help="Image files, folders of images, or globs. Without any, the built-in sample is segmented.",
        show_default=False,
    ),
]
OutputFolderOption = Annotated[
    Path, typer.Option("--output", "-o", help="Folder for the results.", rich_help_panel=OUTPUT)
]
SaveOption = Annotated[
    list[Kind] | None,
    typer.Option(
        "--save",
        help="Picture to write per image: class ids, colors blended into the image, or the confidence in gray. "
        "Repeat the option for several.",
        show_default="class-map and overlay",
        rich_help_panel=OUTPUT,
    ),
]

_DEFAULT_KINDS = (Kind.CLASS_MAP, Kind.OVERLAY)


def kinds(save: list[Kind] | None) -> list[SaveKind]:
    """Returns the kinds of pictures as `rapidseg.predict` takes them."""
    return [kind.value for kind in save or _DEFAULT_KINDS]

"""Options and examples of `rapidseg eval`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from rapidseg.cli.help import METHOD, OUTPUT, examples
from rapidseg.core.choices import ProtocolName

EXAMPLES = examples(
    "rapidseg eval mine.onnx --data my-streets.yaml --html report.html",
    "rapidseg eval --data camvid --root camvid --split test -o test.json",
)

ProtocolOption = Annotated[
    ProtocolName,
    typer.Option("--protocol", help="How images are shown to the network.", rich_help_panel=METHOD),
]
CropOption = Annotated[
    str | None,
    typer.Option(
        "--crop",
        metavar="HxW",
        help="For sliding: size of a window, such as 769x769.",
        show_default=False,
        rich_help_panel=METHOD,
    ),
]
StrideOption = Annotated[
    str | None,
    typer.Option(
        "--stride",
        metavar="HxW",
        help="For sliding: distance from window to window.",
        show_default="two thirds of the crop",
        rich_help_panel=METHOD,
    ),
]
ScalesOption = Annotated[
    str | None,
    typer.Option(
        "--scales",
        metavar="N,...",
        help="For multi-scale: comma-separated factors of the input size.",
        show_default="0.5,0.75,1,1.25,1.5,1.75",
        rich_help_panel=METHOD,
    ),
]
FlipOption = Annotated[
    bool | None,
    typer.Option(
        "--flip/--no-flip",
        help="For multi-scale: whether to add mirrored views.",
        show_default="flip",
        rich_help_panel=METHOD,
    ),
]
SUBSAMPLE: dict[str, Literal[1, 2, 4]] = {"1": 1, "2": 2, "4": 4}  # Typer reads options as text
SubsampleOption = Annotated[
    Literal["1", "2", "4"],
    typer.Option("--subsample", help="Divides the size at which the network sees images.", rich_help_panel=METHOD),
]
WorstOption = Annotated[
    int, typer.Option("--worst", min=0, help="How many of the worst images to list.", rich_help_panel=OUTPUT)
]
SaveOption = Annotated[
    Path | None,
    typer.Option(
        "--save",
        help="Folder for the predictions, PNGs of class ids.",
        show_default=False,
        rich_help_panel=OUTPUT,
    ),
]
SubmissionOption = Annotated[
    Path | None,
    typer.Option(
        "--submission",
        help="Folder for label-id PNGs to submit to the Cityscapes benchmark.",
        show_default=False,
        rich_help_panel=OUTPUT,
    ),
]
HtmlOption = Annotated[
    Path | None,
    typer.Option(
        "--html", help="File for a report that opens in a browser.", show_default=False, rich_help_panel=OUTPUT
    ),
]

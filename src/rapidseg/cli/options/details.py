"""Options of `rapidseg models show` and `rapidseg report`: what is shown, and how much of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rapidseg.cli.completion import complete_any_name, complete_document
from rapidseg.cli.help import METHOD, OUTPUT

NameArgument = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help="Architecture, recipe, or built-in or published model.",
        autocompletion=complete_any_name,
    ),
]
NumClassesOption = Annotated[
    int, typer.Option(min=2, max=255, help="For an architecture: number of classes.", rich_help_panel=METHOD)
]
NetworkSizeOption = Annotated[
    str, typer.Option(metavar="HxW", help="For an architecture: size of the input.", rich_help_panel=METHOD)
]
ClearOption = Annotated[
    bool,
    typer.Option(
        "--clear",
        help="Delete all of them but running downloads; they are made again when needed.",
        rich_help_panel=METHOD,
    ),
]

DocumentArgument = Annotated[
    Path,
    typer.Argument(
        metavar="A",
        help="JSON document that rapidseg eval --output wrote.",
        show_default=False,
        autocompletion=complete_document,
    ),
]
SecondDocumentArgument = Annotated[
    Path | None,
    typer.Argument(
        metavar="B",
        help="Another document, to compare with A.",
        show_default=False,
        autocompletion=complete_document,
    ),
]
PageOption = Annotated[
    Path | None,
    typer.Option("--output", "-o", help="HTML file to write.", show_default="report.html", rich_help_panel=OUTPUT),
]
ImagesOption = Annotated[
    int, typer.Option("--images", min=1, help="How many images of each kind to show.", rich_help_panel=OUTPUT)
]

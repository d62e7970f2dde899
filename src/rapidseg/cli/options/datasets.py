"""Options of `rapidseg data` and its commands."""

from __future__ import annotations

from typing import Annotated

import typer

from rapidseg.cli.completion import complete_split
from rapidseg.cli.help import DATA, METHOD

SplitsOption = Annotated[
    str | None,
    typer.Option(
        "--split",
        help="Splits to read, such as train or train+val.",
        show_default="all",
        autocompletion=complete_split,
        rich_help_panel=DATA,
    ),
]
ThreadsOption = Annotated[
    int | None,
    typer.Option(
        "--workers",
        min=1,
        help="Threads that read files.",
        show_default="one per processor, up to 8",
        rich_help_panel=METHOD,
    ),
]
ProcessesOption = Annotated[
    int | None,
    typer.Option(
        "--workers", min=1, help="Processes that draw.", show_default="one per processor", rich_help_panel=METHOD
    ),
]

"""Options and argument forms that several commands share."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from rapidseg.core.errors import InputError

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output instead.")]


SizeOption = Annotated[
    str | None,
    typer.Option(
        "--size",
        help="Size at which the network sees the images: the shorter side, or HEIGHTxWIDTH.",
        show_default="the model's own",
    ),
]


def parse_working_size(text: str | None) -> int | tuple[int, int] | None:
    """Reads the value of `SizeOption`: pixels of the shorter side, or `HEIGHTxWIDTH`.

    Raises:
        InputError: the text has another form.
    """
    if text is None:
        return None
    return int(text) if text.isdecimal() else parse_size(text)


def parse_size(text: str) -> tuple[int, int]:
    """Reads `HEIGHTxWIDTH` in pixels.

    Raises:
        InputError: the text has another form.
    """
    match = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", text.strip().lower())
    if match is None:
        raise InputError(f"a size is HEIGHTxWIDTH in pixels, such as 1024x2048, not {text!r}")
    return int(match[1]), int(match[2])

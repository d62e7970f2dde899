"""Options and argument forms that several commands share."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from rapidseg.core.errors import InputError

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output instead.")]


def parse_size(text: str) -> tuple[int, int]:
    """Reads `HEIGHTxWIDTH` in pixels.

    Raises:
        InputError: the text has another form.
    """
    match = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", text.strip().lower())
    if match is None:
        raise InputError(f"a size is HEIGHTxWIDTH in pixels, such as 1024x2048, not {text!r}")
    return int(match[1]), int(match[2])

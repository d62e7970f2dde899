"""Sizes of images and networks: one type, one way to read and to print them.

Height comes before width everywhere: in tuples, in names that end in `_hw`, and in text, `HxW`.
"""

from __future__ import annotations

import re

from rapidseg.core.errors import InputError

SizeHW = tuple[int, int]
"""(height, width) in pixels."""

InputSize = int | tuple[int, int]
"""Size at which a network sees an image: pixels of the shorter side (the aspect ratio is kept), or (height, width)."""

MAX_SIDE = 99_999
"""Largest height or width that is read, in pixels; far beyond what fits in memory."""

_SIZE = re.compile(r"([0-9]+)x([0-9]+)")
_SIDE = re.compile(r"[0-9]+")


def format_size(size_hw: tuple[int, ...]) -> str:
    """Returns `HxW`, such as `1024x2048`, of a size or of an array's shape (H, W, ...)."""
    return f"{size_hw[0]}x{size_hw[1]}"


def parse_size(text: str) -> SizeHW:
    """Reads `HxW` in pixels.

    Raises:
        InputError: the text has another form, or a side is 0 or above `MAX_SIDE`.
    """
    match = _SIZE.fullmatch(text.strip().lower())
    if match is None:
        raise InputError(f"{text!r} is not a size; write HEIGHTxWIDTH in pixels, such as 1024x2048")
    return _side(match[1], text), _side(match[2], text)


def format_input_size(size: InputSize) -> str:
    """Returns an input size as `parse_input_size` reads it."""
    return str(size) if isinstance(size, int) else format_size(size)


def parse_input_size(text: str) -> InputSize:
    """Reads an input size: pixels of the shorter side, such as `512`, or `HxW`.

    Raises:
        InputError: the text has another form, or a side is 0 or above `MAX_SIDE`.
    """
    text = text.strip().lower()
    if _SIDE.fullmatch(text):
        return _side(text, text)
    if _SIZE.fullmatch(text):
        return parse_size(text)
    raise InputError(f"{text!r} is not an input size; write pixels of the shorter side, such as 512, or HEIGHTxWIDTH")


def _side(digits: str, text: str) -> int:
    if len(digits.lstrip("0")) > len(str(MAX_SIDE)) or not 1 <= int(digits) <= MAX_SIDE:
        raise InputError(f"{text!r}: a side of {digits} pixels is not possible; allowed are 1 to {MAX_SIDE}")
    return int(digits)

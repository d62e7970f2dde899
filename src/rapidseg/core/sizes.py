"""Sizes of images and networks: one type, one way to read and to print them.

Height comes before width everywhere: in tuples, in names that end in `_hw`, and in text, `HxW`.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable, Sequence
from typing import Any

from rapidseg.core.arguments import describe_value, is_integer
from rapidseg.core.errors import InputError

SizeHW = tuple[int, int]
"""(height, width) in pixels."""

InputSize = int | tuple[int, int]
"""Size at which a network sees an image: pixels of the shorter side (the aspect ratio is kept), or (height, width)."""

SizeLike = str | tuple[int, int]
"""What is accepted as a size: (height, width) in pixels, or text `HxW`."""

InputSizeLike = str | int | tuple[int, int]
"""What is accepted as an input size: pixels of the shorter side, (height, width), or either as text."""

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


def to_size(size: SizeLike, name: str) -> SizeHW:
    """Reads an argument that is a size.

    Args:
        size: (height, width) in pixels, or `HxW`.
        name: of the argument, for messages.

    Raises:
        InputError: it is something else, or a side is below 1.
    """
    size = _plain(size)
    if isinstance(size, str):
        return parse_size(size)
    pair = _pair(size)
    if pair is None or min(pair) < 1:
        raise InputError(
            f"{name} is {describe_value(size)}, which is not a size; pass (height, width) in pixels, or text such as "
            "'1024x2048'"
        )
    return pair


def to_input_size(size: InputSizeLike, name: str = "input_size") -> InputSize:
    """Reads an argument that is an input size; whether it is large enough depends on the network.

    Args:
        size: pixels of the shorter side, (height, width), or either as text.
        name: of the argument, for messages.

    Raises:
        InputError: it is something else.
    """
    size = _plain(size)
    if isinstance(size, str):
        return parse_input_size(size)
    if is_integer(size):
        return operator.index(size)  # type: ignore[arg-type]
    pair = _pair(size)
    if pair is None:
        raise InputError(
            f"{name} is {describe_value(size)}, which is not an input size; pass pixels of the shorter side, such as "
            "512, (height, width), or text such as '512x1024'"
        )
    return pair


def to_sizes(sizes: SizeLike | Sequence[SizeLike], name: str) -> tuple[SizeHW, ...]:
    """Reads an argument that is one size or several, each once, in their order.

    Args:
        sizes: comma-separated `HxW` as text, a tuple (height, width), or a sequence of such texts and tuples.
        name: of the argument, for messages.

    Raises:
        InputError: a size has another form, or none is given.
    """
    sizes = _plain(sizes)
    items: Iterable[Any] = _split(sizes) if _pair(sizes) is None else [sizes]
    parsed = tuple(dict.fromkeys(to_size(size, name) for size in items))
    if not parsed:
        raise InputError(f"no {name.replace('_', ' ')} given; pass, for example, 1024x2048,512x1024")
    return parsed


def to_input_sizes(sizes: InputSizeLike | Sequence[InputSizeLike], name: str) -> tuple[InputSize, ...]:
    """Reads an argument that is one input size or several, each once, in their order.

    Args:
        sizes: comma-separated text, an int (shorter side in pixels), or a sequence of texts, ints and tuples
            (height, width). Two ints in a tuple are two shorter sides.
        name: of the argument, for messages.

    Raises:
        InputError: a size has another form, or none is given.
    """
    parsed = tuple(dict.fromkeys(to_input_size(size, name) for size in _split(_plain(sizes))))
    if not parsed:
        raise InputError(f"no {name.replace('_', ' ')} given; pass shorter sides in pixels, for example 1024,768,512")
    return parsed


def _plain(size: Any) -> Any:
    """Returns Python's own numbers for the scalars and small arrays of other libraries, anything else as it is."""
    is_small = hasattr(size, "tolist") and tuple(getattr(size, "shape", (0, 0))) in ((), (2,))
    return size.tolist() if is_small else size


def _pair(size: Any) -> SizeHW | None:
    """Returns two integers in a sequence or an array, or None for anything else."""
    if isinstance(size, (str, bytes)) or not hasattr(size, "__len__") or not isinstance(size, Iterable):
        return None
    sides = tuple(size)
    if len(sides) != 2 or not all(map(is_integer, sides)):
        return None
    return operator.index(sides[0]), operator.index(sides[1])


def _split(sizes: Any) -> Iterable[Any]:
    """Returns the parts of a comma-separated text, the items of an iterable, or else the value itself as the only."""
    if isinstance(sizes, str):
        return [part.strip() for part in sizes.split(",") if part.strip()]
    return sizes if isinstance(sizes, Iterable) and not isinstance(sizes, bytes) else [sizes]


def _side(digits: str, text: str) -> int:
    if len(digits.lstrip("0")) > len(str(MAX_SIDE)) or not 1 <= int(digits) <= MAX_SIDE:
        raise InputError(f"{text!r}: a side of {digits} pixels is not possible; allowed are 1 to {MAX_SIDE}")
    return int(digits)

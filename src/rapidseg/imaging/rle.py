"""Masks as run lengths in the format of COCO (`cocodataset/cocoapi`, maskApi.c)."""

from __future__ import annotations

import numpy as np

from rapidseg.core.errors import InputError
from rapidseg.core.sizes import format_size

_BITS, _MORE, _OFFSET = 5, 0x20, 48  # of each character: 5 bits of a number, whether it continues, and ASCII "0"


def mask_to_rle(mask: np.ndarray) -> dict[str, list[int] | str]:
    """Returns a mask as COCO's compressed RLE.

    Args:
        mask: (H, W) bool.

    Returns:
        `size`, [H, W], and `counts`, ASCII text. `pycocotools.mask.decode` reads it.
    """
    pixels = np.concatenate([[False], mask.ravel(order="F"), [False]])  # COCO counts down the columns
    borders = np.flatnonzero(pixels[1:] != pixels[:-1])
    edges = np.concatenate([[0], borders, [mask.size]])
    counts = np.diff(edges)
    if len(counts) > 1 and counts[-1] == 0:
        counts = counts[:-1]
    return {"size": [int(side) for side in mask.shape], "counts": _compress(counts.tolist())}


def rle_to_mask(rle: dict[str, list[int] | str]) -> np.ndarray:
    """Returns the mask of a COCO RLE, compressed (text) or not (a list of run lengths).

    Args:
        rle: `size` and `counts`.

    Returns:
        (H, W) bool.

    Raises:
        InputError: the runs do not add up to the size.
    """
    height, width = (int(side) for side in rle["size"])
    counts = rle["counts"]
    runs = _expand(counts) if isinstance(counts, str) else [int(count) for count in counts]
    if sum(runs) != height * width or min(runs, default=0) < 0:
        raise InputError(
            f"the run lengths add up to {sum(runs)} pixels, but the size is {format_size((height, width))}"
        )
    values = np.arange(len(runs)) % 2 == 1  # runs alternate, and the first is outside of the mask
    return np.repeat(values, runs).reshape((height, width), order="F")


def _compress(counts: list[int]) -> str:
    """Writes each count as its difference from the count before the previous one, in groups of 5 bits, low first."""
    characters = []
    for index, count in enumerate(counts):
        rest = count - counts[index - 2] if index > 2 else count
        more = True
        while more:
            bits = rest & 0x1F
            rest >>= _BITS
            more = rest != (-1 if bits & 0x10 else 0)  # the highest bit of the last group is the sign
            characters.append(chr((bits | _MORE if more else bits) + _OFFSET))
    return "".join(characters)


def _expand(text: str) -> list[int]:
    counts: list[int] = []
    value, shift = 0, 0
    for character in text:
        bits = ord(character) - _OFFSET
        value |= (bits & 0x1F) << shift
        shift += _BITS
        if bits & _MORE:
            continue
        if bits & 0x10:
            value -= 1 << shift
        counts.append(value + counts[-2] if len(counts) > 2 else value)
        value, shift = 0, 0
    return counts

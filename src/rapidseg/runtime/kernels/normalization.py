"""Bytes of images to what the network sees, in one pass.

Normalizing and rounding treat every byte of a channel alike, so a table of 256 numbers a channel has all of it. Looking
the bytes up takes a fraction of the time that engines take: they convert, move the channels, subtract and divide one
after the other.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from rapidseg.runtime.kernels.jit import jit_compile, parallel_rows

_LEAST_PIXELS_PER_PART = 1 << 17  # starting a thread on less costs more than it saves


def apply_lut(images: np.ndarray, table: np.ndarray, into: np.ndarray) -> None:
    """Replaces each byte of images by what a table says for its channel.

    Args:
        images: (N, H, W, 3) uint8.
        table: (3, 256) uint8, uint16 or float32, C-contiguous.
        into: (N, H, W, 3) of the table's type, C-contiguous.
    """
    images = np.ascontiguousarray(images)
    replace = compiled_look_up(table.dtype.name)
    for image, numbers in zip(images, into, strict=True):
        parallel_rows(
            functools.partial(replace, image, table, numbers),
            image.shape[0],
            max_parts=image.shape[0] * image.shape[1] // _LEAST_PIXELS_PER_PART,
        )


def bfloat16_bits(numbers: np.ndarray) -> np.ndarray:
    """Returns the uint16 bits of float32 numbers in bfloat16, rounded to the nearest, ties to even; no NaNs."""
    bits = np.ascontiguousarray(numbers, np.float32).view(np.uint32)
    odd = (bits >> 16) & 1
    return ((bits + 0x7FFF + odd) >> 16).astype(np.uint16)


def _look_up(image: np.ndarray, table: np.ndarray, into: np.ndarray, first_row: int, last_row: int) -> None:
    for y in range(first_row, last_row):
        for x in range(image.shape[1]):
            into[y, x, 0] = table[0, image[y, x, 0]]
            into[y, x, 1] = table[1, image[y, x, 1]]
            into[y, x, 2] = table[2, image[y, x, 2]]


@functools.cache
def compiled_look_up(dtype: str) -> Callable[..., None]:
    """Returns the loop for tables of `dtype`, uint8, uint16 or float32, as machine code."""
    image = numba.types.Array(numba.uint8, 3, "C", readonly=True)  # takes arrays that can be written, too
    number: Any = {"uint8": numba.uint8, "uint16": numba.uint16, "float32": numba.float32}[dtype]
    return jit_compile(_look_up, numba.void(image, number[:, ::1], number[:, :, ::1], numba.int64, numba.int64))

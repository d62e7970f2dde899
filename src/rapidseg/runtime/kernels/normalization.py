"""Normalization of image bytes by a lookup table, in one pass.

Normalizing and rounding depend only on a byte and its channel, so a table of 256 values per channel describes both.
Looking the bytes up takes a fraction of the time that engines take to convert, transpose, subtract and divide in turn.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from rapidseg.runtime.kernels.jit import jit_compile, parallel_rows

_MIN_PIXELS_PER_PART = 1 << 17  # starting a thread for less costs more than it saves


def apply_lut(images: np.ndarray, table: np.ndarray, out: np.ndarray) -> None:
    """Replaces each byte of images by the value of its channel's table.

    Args:
        images: (N, H, W, 3) uint8.
        table: (3, 256) uint8, uint16 or float32, C-contiguous.
        out: where to write the result: (N, H, W, 3) of the table's dtype, C-contiguous.
    """
    images = np.ascontiguousarray(images)
    compiled = compiled_lut(table.dtype.name)
    for image, result in zip(images, out, strict=True):
        parallel_rows(
            functools.partial(compiled, image, table, result),
            image.shape[0],
            max_parts=image.shape[0] * image.shape[1] // _MIN_PIXELS_PER_PART,
        )


def bfloat16_bits(values: np.ndarray) -> np.ndarray:
    """Returns the uint16 bits of float32 values in bfloat16, rounded to nearest, ties to even; they must not be NaN."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    odd = (bits >> 16) & 1
    return ((bits + 0x7FFF + odd) >> 16).astype(np.uint16)


def _apply_lut(image: np.ndarray, table: np.ndarray, out: np.ndarray, first_row: int, last_row: int) -> None:
    for y in range(first_row, last_row):
        for x in range(image.shape[1]):
            out[y, x, 0] = table[0, image[y, x, 0]]
            out[y, x, 1] = table[1, image[y, x, 1]]
            out[y, x, 2] = table[2, image[y, x, 2]]


@functools.cache
def compiled_lut(dtype: str) -> Callable[..., None]:
    """Returns the machine code of the loop for tables of `dtype`: "uint8", "uint16" or "float32"."""
    image = numba.types.Array(numba.uint8, 3, "C", readonly=True)  # accepts writable arrays, too
    value: Any = {"uint8": numba.uint8, "uint16": numba.uint16, "float32": numba.float32}[dtype]
    return jit_compile(_apply_lut, numba.void(image, value[:, ::1], value[:, :, ::1], numba.int64, numba.int64))

"""Images to what the network sees: planes of normalised numbers, in one pass over the bytes.

It computes what the normalisation in a model file computes, to the last bit in float32, in a fraction of the time that
engines take for it: they convert, transpose, subtract and divide one after the other, or pixel by pixel.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import numba
import numpy as np

from rapidseg.runtime.compiling import compile_loop, share_rows

_LEAST_PIXELS_PER_PART = 1 << 17  # starting a thread on less costs more than it saves


def normalize(images: np.ndarray, mean: Sequence[float], std: Sequence[float], planes: np.ndarray) -> None:
    """Writes (image - mean) / std, with the channels as planes.

    Args:
        images: (N, H, W, 3) uint8 RGB.
        mean, std: of each channel, on the scale of 0 to 255.
        planes: (N, 3, H, W), C-contiguous; float32, or uint16, which gets the bits of bfloat16, rounded to the nearest,
            ties to even.
    """
    images = np.ascontiguousarray(images)
    means, stds = np.asarray(mean, np.float32), np.asarray(std, np.float32)
    fill = compiled_normalize(planes.dtype.name)
    for image, into in zip(images, planes, strict=True):
        share_rows(
            functools.partial(fill, image, means, stds, into),
            image.shape[0],
            most_parts=image.shape[0] * image.shape[1] // _LEAST_PIXELS_PER_PART,
        )


def look_up(images: np.ndarray, table: np.ndarray, into: np.ndarray) -> None:
    """Replaces each byte of images by what a table says for its channel.

    Args:
        images: (N, H, W, 3) uint8.
        table: (3, 256) uint8.
        into: (N, H, W, 3) uint8, C-contiguous.
    """
    images = np.ascontiguousarray(images)
    replace = compiled_look_up()
    for image, bytes_ in zip(images, into, strict=True):
        share_rows(
            functools.partial(replace, image, table, bytes_),
            image.shape[0],
            most_parts=image.shape[0] * image.shape[1] // _LEAST_PIXELS_PER_PART,
        )


def _fill(
    image: np.ndarray, mean: np.ndarray, std: np.ndarray, planes: np.ndarray, first_row: int, last_row: int
) -> None:
    for y in range(first_row, last_row):
        for channel in range(3):
            for x in range(image.shape[1]):
                planes[channel, y, x] = (np.float32(image[y, x, channel]) - mean[channel]) / std[channel]


def _fill_bf16(
    image: np.ndarray, mean: np.ndarray, std: np.ndarray, planes: np.ndarray, first_row: int, last_row: int
) -> None:
    row = np.empty(image.shape[1], np.float32)
    bits = row.view(np.uint32)
    for y in range(first_row, last_row):
        for channel in range(3):
            for x in range(image.shape[1]):
                row[x] = (np.float32(image[y, x, channel]) - mean[channel]) / std[channel]
            for x in range(image.shape[1]):
                odd = (bits[x] >> np.uint32(16)) & np.uint32(1)
                planes[channel, y, x] = np.uint16((bits[x] + np.uint32(0x7FFF) + odd) >> np.uint32(16))


@functools.cache
def compiled_normalize(dtype: str) -> Callable[..., None]:
    """Returns the loop that writes planes of `dtype`, float32 or uint16, as machine code."""
    loop, number = {"float32": (_fill, numba.float32), "uint16": (_fill_bf16, numba.uint16)}[dtype]
    image = numba.types.Array(numba.uint8, 3, "C", readonly=True)  # takes arrays that can be written, too
    constants = numba.float32[::1]
    return compile_loop(loop, numba.void(image, constants, constants, number[:, :, ::1], numba.int64, numba.int64))


def _look_up(image: np.ndarray, table: np.ndarray, into: np.ndarray, first_row: int, last_row: int) -> None:
    for y in range(first_row, last_row):
        for x in range(image.shape[1]):
            into[y, x, 0] = table[0, image[y, x, 0]]
            into[y, x, 1] = table[1, image[y, x, 1]]
            into[y, x, 2] = table[2, image[y, x, 2]]


@functools.cache
def compiled_look_up() -> Callable[..., None]:
    """Returns the loop that replaces bytes as machine code."""
    image = numba.types.Array(numba.uint8, 3, "C", readonly=True)
    types = (image, numba.uint8[:, ::1], numba.uint8[:, :, ::1], numba.int64, numba.int64)
    return compile_loop(_look_up, numba.void(*types))

"""The class map of logits: bilinear upsampling and the argmax over classes as one exact operation.

Full-size logits are never built. Four neighboring logits form a cell; inside it every class's value is a convex
combination of its four corners. So where the lowest corner of one class is above the highest corners of all others,
that class wins in the whole cell. Only cells on class borders need arithmetic, and there only the classes whose highest
corner reaches the largest of all lowest corners.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numba
import numpy as np

from rapidseg.core.errors import InputError
from rapidseg.runtime.kernels.jit import jit_compile, parallel_rows

_MIN_PIXELS_PER_PART = 1 << 18  # starting a thread for less costs more than it saves


def class_map_from_logits(logits: np.ndarray, size_hw: tuple[int, int], *, align_corners: bool) -> np.ndarray:
    """Computes the argmax over classes of bilinearly resized logits.

    The result is that of `argmax(interpolate(logits, size_hw, mode="bilinear", align_corners=align_corners))` in
    PyTorch; where classes tie (to the last bit of float32), it may be any of them.

    Args:
        logits: (K, h, w) float32, K from 1 to 256.
        size_hw: height and width of the class map, larger or smaller than the logits.
        align_corners: whether the centers of the corner pixels coincide, or the corners of the images.

    Returns:
        (H, W) uint8.

    Raises:
        InputError: the logits have another shape, or are empty.
    """
    check_logits(logits, size_hw)
    logits = np.ascontiguousarray(logits, dtype=np.float32)
    _, height, width = logits.shape
    row_starts, row_weights = interpolation_grid(height, size_hw[0], align_corners)
    column_starts, column_weights = interpolation_grid(width, size_hw[1], align_corners)
    class_map = np.empty(size_hw, np.uint8)
    fill = compiled_fill()
    parallel_rows(
        functools.partial(fill, logits, row_starts, row_weights, column_starts, column_weights, class_map),
        height,
        max_parts=class_map.size // _MIN_PIXELS_PER_PART,
    )
    return class_map


def check_logits(logits: np.ndarray, size_hw: tuple[int, int]) -> None:
    """Raises `InputError` unless the logits are (K, h, w) with 1 to 256 classes and no side is 0."""
    if logits.ndim != 3 or not 1 <= logits.shape[0] <= 256 or min(*logits.shape, *size_hw) < 1:
        raise InputError(
            f"logits of shape {logits.shape} cannot become a class map of {size_hw}; "
            "they must be (K, h, w) with 1 to 256 classes, and no side may be 0"
        )


@functools.lru_cache(maxsize=64)
def interpolation_grid(length: int, new_length: int, align_corners: bool) -> tuple[np.ndarray, np.ndarray]:
    """Computes, along one axis, which output pixels lie in which cell of logits, and where in it.

    Returns:
        starts: (length + 1,) int64; cell `i`, from logit `i` to the next, holds outputs `starts[i]` to `starts[i + 1]`.
        weights: (new_length,) float32, of the cell's second logit.
    """
    outputs = np.arange(new_length)
    if align_corners:
        positions = outputs * ((length - 1) / (new_length - 1) if new_length > 1 else 0.0)
    else:
        positions = np.maximum((outputs + 0.5) * (length / new_length) - 0.5, 0)
    cells = np.minimum(positions.astype(np.int64), length - 1)
    starts = np.searchsorted(cells, np.arange(length + 1))
    weights = (positions - cells).astype(np.float32)
    return starts, weights


def _fill(
    logits: np.ndarray,
    row_starts: np.ndarray,
    row_weights: np.ndarray,
    column_starts: np.ndarray,
    column_weights: np.ndarray,
    class_map: np.ndarray,
    first_row: int,
    last_row: int,
) -> None:
    """Fills the output rows of the cell rows `first_row` to `last_row`. Compiled by Numba; see the module docstring."""
    num_classes, height, width = logits.shape
    lowest = np.empty(width, np.float32)  # of one class, over the two logits above each other
    highest = np.empty((num_classes, width), np.float32)
    floor = np.empty(width, np.float32)  # of each cell: the largest lowest corner of any class
    winner = np.empty(width, np.int32)  # of each cell: that class
    rivals = np.empty(width, np.int32)  # of each cell: how many classes reach the floor with their highest corner
    candidates = np.empty(num_classes, np.int32)
    best = np.empty(class_map.shape[1], np.float32)  # of each column: the largest value so far
    for y in range(first_row, last_row):
        top, bottom = row_starts[y], row_starts[y + 1]
        if top == bottom:
            continue
        below = min(y + 1, height - 1)
        floor[:] = -np.inf
        winner[:] = 0
        rivals[:] = 0
        for k in range(num_classes):
            for x in range(width):
                lowest[x] = min(logits[k, y, x], logits[k, below, x])
                highest[k, x] = max(logits[k, y, x], logits[k, below, x])
            for x in range(width - 1):
                low = min(lowest[x], lowest[x + 1])
                winner[x] = k if low > floor[x] else winner[x]
                floor[x] = low if low > floor[x] else floor[x]
                highest[k, x] = max(highest[k, x], highest[k, x + 1])
            if lowest[width - 1] > floor[width - 1]:
                floor[width - 1] = lowest[width - 1]
                winner[width - 1] = k
        for k in range(num_classes):
            for x in range(width):
                rivals[x] += 1 if highest[k, x] >= floor[x] else 0
        for x in range(width):
            left, right = column_starts[x], column_starts[x + 1]
            if left == right:
                continue
            if rivals[x] < 2:
                class_map[top:bottom, left:right] = winner[x]
                continue
            beside = min(x + 1, width - 1)
            count = 0
            for k in range(num_classes):
                if highest[k, x] >= floor[x]:
                    candidates[count] = k
                    count += 1
            for row in range(top, bottom):
                down = row_weights[row]
                best[left:right] = -np.inf
                class_map[row, left:right] = winner[x]
                for i in range(count):
                    k = candidates[i]
                    start = logits[k, y, x] + (logits[k, below, x] - logits[k, y, x]) * down
                    end = logits[k, y, beside] + (logits[k, below, beside] - logits[k, y, beside]) * down
                    for column in range(left, right):
                        value = start + (end - start) * column_weights[column]
                        class_map[row, column] = k if value > best[column] else class_map[row, column]
                        best[column] = value if value > best[column] else best[column]


@functools.cache
def compiled_fill() -> Callable[..., None]:
    """Returns `_fill` as machine code."""
    signature = numba.void(
        numba.float32[:, :, ::1],
        numba.int64[::1],
        numba.float32[::1],
        numba.int64[::1],
        numba.float32[::1],
        numba.uint8[:, ::1],
        numba.int64,
        numba.int64,
    )
    return jit_compile(_fill, signature)

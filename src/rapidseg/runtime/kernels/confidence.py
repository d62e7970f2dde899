"""The confidence of each pixel's class: the softmax of the winner, row by row, without full-size logits."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numba
import numpy as np

from rapidseg.runtime.kernels.class_map import check_logits, interpolation_grid
from rapidseg.runtime.kernels.jit import jit_compile, parallel_rows

# exp(-16) is 1e-7: 255 classes this far or further below the winner add less than a tenth of a step of 1/255.
_LOWEST = np.float32(-16)
_MIN_PIXELS_PER_PART = 1 << 16


def confidence_from_logits(logits: np.ndarray, size_hw: tuple[int, int], *, align_corners: bool) -> np.ndarray:
    """Computes the largest softmax value of bilinearly resized logits at each pixel, in steps of 1/255.

    The result is `round(255 * softmax(interpolate(logits, size_hw)).max())` in PyTorch, or one step off where rounding
    is close.

    Args:
        logits: (K, h, w) float32, K from 1 to 256.
        size_hw: height and width of the result.
        align_corners: whether the centers of the corner pixels coincide, or the corners of the images.

    Returns:
        (H, W) uint8, from 255 / K to 255.

    Raises:
        InputError: the logits have another shape, or are empty.
    """
    check_logits(logits, size_hw)
    logits = np.ascontiguousarray(logits, dtype=np.float32)
    row_starts, row_weights = interpolation_grid(logits.shape[1], size_hw[0], align_corners)
    column_starts, column_weights = interpolation_grid(logits.shape[2], size_hw[1], align_corners)
    confidence = np.empty(size_hw, np.uint8)
    fill = compiled_fill()
    parallel_rows(
        functools.partial(fill, logits, row_starts, row_weights, column_starts, column_weights, confidence),
        logits.shape[1],
        max_parts=confidence.size // _MIN_PIXELS_PER_PART,
    )
    return confidence


def _fill(
    logits: np.ndarray,
    row_starts: np.ndarray,
    row_weights: np.ndarray,
    column_starts: np.ndarray,
    column_weights: np.ndarray,
    confidence: np.ndarray,
    first_row: int,
    last_row: int,
) -> None:
    """Fills the output rows of the cell rows `first_row` to `last_row`.

    Each row of logits is first interpolated to all columns, once, so that the inner loops run along whole rows.
    """
    num_classes, height, width = logits.shape
    columns = confidence.shape[1]
    upper = np.empty((num_classes, columns), np.float32)
    lower = np.empty((num_classes, columns), np.float32)
    values = np.empty((num_classes, columns), np.float32)
    best = np.empty(columns, np.float32)
    total = np.empty(columns, np.float32)
    for y in range(first_row - 1, last_row):
        upper, lower = lower, upper
        below = min(y + 1, height - 1)
        for k in range(num_classes):
            for x in range(width):
                start = logits[k, below, x]
                slope = logits[k, below, min(x + 1, width - 1)] - start
                for column in range(column_starts[x], column_starts[x + 1]):
                    lower[k, column] = start + slope * column_weights[column]
        if y < first_row:
            continue
        for row in range(row_starts[y], row_starts[y + 1]):
            down = row_weights[row]
            best[:] = -np.inf
            for k in range(num_classes):
                for column in range(columns):
                    value = upper[k, column] + (lower[k, column] - upper[k, column]) * down
                    values[k, column] = value
                    best[column] = value if value > best[column] else best[column]
            total[:] = 0
            for k in range(num_classes):
                for column in range(columns):
                    # exp(v) as exp(v / 32) to the 32nd power: for v from -16 to 0 the Taylor series of degree 5 is then
                    # accurate to 1e-3 of its value, and the loop is vectorized over columns.
                    v = values[k, column] - best[column]
                    v = (v if v > _LOWEST else _LOWEST) * np.float32(1 / 32)
                    series = np.float32(1 / 24) + v * np.float32(1 / 120)
                    series = np.float32(1 / 2) + v * (np.float32(1 / 6) + v * series)
                    power = np.float32(1) + v * (np.float32(1) + v * series)
                    power *= power
                    power *= power
                    power *= power
                    power *= power
                    power *= power
                    total[column] += power
            for column in range(columns):
                confidence[row, column] = np.uint8(np.float32(255) / total[column] + np.float32(0.5))


@functools.cache
def compiled_fill() -> Callable[..., None]:
    """Returns `_fill` as machine code."""
    indices, numbers = numba.int64[::1], numba.float32[::1]
    signature = numba.void(
        numba.float32[:, :, ::1], indices, numbers, indices, numbers, numba.uint8[:, ::1], numba.int64, numba.int64
    )
    return jit_compile(_fill, signature)

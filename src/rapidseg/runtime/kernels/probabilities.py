"""Class probabilities: the softmax of bilinearly upsampled logits, row by row, without full-size logits beside it."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numba
import numpy as np

from rapidseg.core.errors import InputError
from rapidseg.runtime.kernels.class_map import check_logits, interpolation_grid
from rapidseg.runtime.kernels.jit import jit_compile, parallel_rows

_MIN_VALUES_PER_PART = 1 << 18  # probabilities; starting a thread for less costs more than it saves

_LOWEST = np.float32(-87)  # exp(-87) is 1.6e-38: anything lower is below the normal numbers of float32
_LOG2_E = np.float32(1.44269504)
# ln(2) in two parts; the first has few bits, so that its product with a small integer is exact.
_LN2_HIGH = np.float32(0.693359375)
_LN2_LOW = np.float32(-2.12194440e-4)
_BELOW_ONE = np.float32(1 - 2**-24)  # the largest float32 below 1


def probabilities_from_logits(
    logits: np.ndarray,
    size_hw: tuple[int, int],
    *,
    align_corners: bool,
    rows: tuple[int, int] | None = None,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Computes the softmax over classes of bilinearly resized logits.

    Logits are interpolated by the arithmetic of `class_map_from_logits`, and only the winner's probability is the
    largest. So the argmax over classes is that class map at every pixel, except where classes tie to the last bit of
    float32.

    Args:
        logits: (K, h, w) float32, K from 1 to 256.
        size_hw: height and width of the image, larger or smaller than the logits.
        align_corners: whether the centers of the corner pixels coincide, or the corners of the images.
        rows: the first row of the image and the one after the last to compute, where memory is short. None: all rows.
        out: where to write the result: (K, rows, W) float32, C-contiguous. None: a new array.

    Returns:
        (K, rows, W) float32 from 0 to 1; `out` if it was passed. Each pixel's probabilities add up to 1. Relative to
        exact ones they are off by 1e-6 at most, apart from the rounding of the logits themselves; those below 1e-38
        become about 1e-38.

    Raises:
        InputError: the logits have another shape, or are empty; or `out` has another shape, dtype or memory order.
    """
    check_logits(logits, size_hw)
    logits = np.ascontiguousarray(logits, dtype=np.float32)
    num_classes, height, width = logits.shape
    first, last = (0, size_hw[0]) if rows is None else rows
    shape = (num_classes, last - first, size_hw[1])
    if out is None:
        out = np.empty(shape, np.float32)
    elif out.shape != shape or out.dtype != np.float32 or not out.flags.c_contiguous or not out.flags.writeable:
        raise InputError(
            f"out must be a writable, C-contiguous float32 array of shape {shape}, not {out.dtype} of shape {out.shape}"
        )
    row_starts, row_weights = interpolation_grid(height, size_hw[0], align_corners)
    column_starts, column_weights = interpolation_grid(width, size_hw[1], align_corners)
    row_cells = np.repeat(np.arange(height), np.diff(row_starts))[first:last]
    fill = compiled_probabilities()
    parallel_rows(
        functools.partial(fill, logits, row_cells, row_weights[first:last], column_starts, column_weights, out),
        last - first,
        max_parts=out.size // _MIN_VALUES_PER_PART,
    )
    return out


def _fill(
    logits: np.ndarray,
    row_cells: np.ndarray,
    row_weights: np.ndarray,
    column_starts: np.ndarray,
    column_weights: np.ndarray,
    probabilities: np.ndarray,
    first_row: int,
    last_row: int,
) -> None:
    """Fills the output rows `first_row` to `last_row`. Compiled by Numba.

    Rows are blended before columns, as in `class_map.py`, so that every value equals the one compared there.
    """
    num_classes, height, width = logits.shape
    columns = probabilities.shape[2]
    blended = np.empty(width + 1, np.float32)  # one class's logits along the output row; the last one twice
    best = np.empty(columns, np.float32)
    winner = np.empty(columns, np.int32)
    total = np.empty(columns, np.float32)
    for row in range(first_row, last_row):
        y = row_cells[row]
        below = min(y + 1, height - 1)
        down = row_weights[row]
        best[:] = -np.inf
        winner[:] = 0
        for k in range(num_classes):
            for x in range(width):
                blended[x] = logits[k, y, x] + (logits[k, below, x] - logits[k, y, x]) * down
            blended[width] = blended[width - 1]
            for x in range(width):
                start = blended[x]
                slope = blended[x + 1] - start
                for column in range(column_starts[x], column_starts[x + 1]):
                    value = start + slope * column_weights[column]
                    probabilities[k, row, column] = value
                    winner[column] = k if value > best[column] else winner[column]
                    best[column] = value if value > best[column] else best[column]
        total[:] = 0
        for k in range(num_classes):
            for column in range(columns):
                # exp(v) as 2**n * exp(r), with |r| <= ln(2) / 2 and a polynomial for exp(r) (Cephes, `expf`). Unlike a
                # call of the C library this works on many columns at once.
                v = probabilities[k, row, column] - best[column]
                v = v if v > _LOWEST else _LOWEST
                n = np.floor(v * _LOG2_E + np.float32(0.5))
                r = v - n * _LN2_HIGH
                r = r - n * _LN2_LOW
                series = np.float32(1.9875691500e-4) * r + np.float32(1.3981999507e-3)
                series = series * r + np.float32(8.3334519073e-3)
                series = series * r + np.float32(4.1665795894e-2)
                series = series * r + np.float32(1.6666665459e-1)
                series = series * r + np.float32(5.0000001201e-1)
                series = series * r * r + r + np.float32(1)
                power = series * np.int32((np.int32(n) + 127) << 23).view(np.float32)
                # Two logits may differ by so little that both powers are 1; only the winner's is.
                power = _BELOW_ONE if power > _BELOW_ONE and winner[column] != k else power
                probabilities[k, row, column] = power
                total[column] += power
        for column in range(columns):
            total[column] = np.float32(1) / total[column]
        for k in range(num_classes):
            for column in range(columns):
                probabilities[k, row, column] *= total[column]


@functools.cache
def compiled_probabilities() -> Callable[..., None]:
    """Returns `_fill` as machine code."""
    indices, numbers, planes = numba.int64[::1], numba.float32[::1], numba.float32[:, :, ::1]
    signature = numba.void(planes, indices, numbers, indices, numbers, planes, numba.int64, numba.int64)
    return jit_compile(_fill, signature)

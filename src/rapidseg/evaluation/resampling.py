"""Logits at full size, for protocols that sum them there.

Bilinear resizing is linear and separable, so it is a matrix on either side of the logits, and resizing twice is the
product of two matrices. Everything is computed tile by tile: a tile needs only the few logits below it, and the
full-size logits of 19 classes at 1024x2048 would take 160 MB.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator

import numpy as np

_TILE_HW = (64, 128)  # 0.6 MB for 19 classes, which stays in a core's cache

Tile = tuple[slice, slice, slice]
"""Index of a part of a (K, H, W) array: all classes, some rows, some columns."""


class Resampling:
    """Bilinear resizing of logits to one size, or to several sizes one after the other."""

    def __init__(self, logits_hw: tuple[int, int], *sizes_hw: tuple[int, int], align_corners: bool) -> None:
        """Computes the weights.

        Args:
            logits_hw: height and width of the logits.
            sizes_hw: the sizes in their order; the last is that of the result.
            align_corners: whether the centers of the corner pixels coincide (else the corners of the images do).
        """
        heights, widths = zip(logits_hw, *sizes_hw, strict=True)
        self._bands = _bands(heights, _TILE_HW[0], align_corners), _bands(widths, _TILE_HW[1], align_corners)

    def tiles(self, logits: np.ndarray) -> Iterator[tuple[Tile, np.ndarray]]:
        """Yields the resized logits of (K, h, w) float32, tile by tile.

        Yields:
            The tile's index in the result, and its logits, (K, rows, columns) float32, which the caller may change.
        """
        for rows, source_rows, row_weights in self._bands[0]:
            blended = row_weights @ logits[:, source_rows]
            for columns, source_columns, column_weights in self._bands[1]:
                yield (slice(None), rows, columns), blended[:, :, source_columns] @ column_weights.T


@functools.lru_cache(maxsize=64)
def _bands(lengths: tuple[int, ...], size: int, align_corners: bool) -> list[tuple[slice, slice, np.ndarray]]:
    """Splits the resizing of an axis, from each length to the next, into bands of `size` outputs.

    Returns:
        For each band: the slice of its outputs, the slice of the inputs that they depend on, and the weights,
        (outputs, inputs) float32.
    """
    steps = (_step(before, after, align_corners) for before, after in itertools.pairwise(lengths))
    weights = functools.reduce(lambda first, second: second @ first, steps).astype(np.float32)
    bands = []
    for start in range(0, lengths[-1], size):
        outputs = slice(start, min(start + size, lengths[-1]))
        used = np.flatnonzero(weights[outputs].any(axis=0))
        inputs = slice(int(used[0]), int(used[-1]) + 1)
        bands.append((outputs, inputs, weights[outputs, inputs]))
    return bands


def _step(length: int, new_length: int, align_corners: bool) -> np.ndarray:
    """Returns the (new_length, length) float64 matrix each of whose rows blends two neighbors."""
    indices = np.arange(new_length)
    if align_corners:
        positions = indices * ((length - 1) / (new_length - 1) if new_length > 1 else 0.0)
    else:
        positions = np.clip((indices + 0.5) * (length / new_length) - 0.5, 0, length - 1)
    before = np.minimum(positions.astype(np.int64), length - 1)
    weights = np.zeros((new_length, length))
    weights[indices, before] = 1 - (positions - before)
    weights[indices, np.minimum(before + 1, length - 1)] += positions - before
    return weights


def softmax(logits: np.ndarray) -> np.ndarray:
    """Turns logits, (K, ...) float32, into probabilities over the first axis, in place; returns them."""
    logits -= logits.max(axis=0)
    np.exp(logits, out=logits)
    logits /= logits.sum(axis=0)
    return logits

"""Seamless repeating textures; each is created once per process and is always the same."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np

TILE = 512  # texels along each side of a tile


@cache
def cloud_tile(exponent: float, seed: int = 0) -> np.ndarray:
    """Returns noise (TILE, TILE) float32, mean 0 and variance 1, with an amplitude of 1/frequency**exponent."""
    white = np.random.default_rng(seed).standard_normal((TILE, TILE))
    frequency = np.hypot(np.fft.fftfreq(TILE)[:, None], np.fft.rfftfreq(TILE)[None, :])
    frequency[0, 0] = np.inf
    tile = np.fft.irfft2(np.fft.rfft2(white) / frequency**exponent, s=(TILE, TILE))
    return _frozen(((tile - tile.mean()) / tile.std()).astype(np.float32))


@cache
def leaf_tile() -> tuple[np.ndarray, np.ndarray]:
    """Returns foliage: the brightness of leaves, 0..1, and a random value that is constant over each leaf, 0..1.

    Both are (3 * TILE, 3 * TILE) float32, three repeats along each side, so that parts can be cropped without wrapping.

    Leaves overlap at random: a "dead leaves" image, which has the statistics of photographs.
    """
    rng = np.random.default_rng(7)
    brightness = np.zeros((TILE, TILE), np.float32)
    order = np.zeros((TILE, TILE), np.float32)
    count = 9000
    centers = rng.integers(0, TILE, (count, 2))
    lengths = np.rint(rng.uniform(5, 13, count) * np.linspace(1.5, 0.8, count)).astype(int)
    for center, length, angle in zip(centers, lengths, rng.integers(0, 180, count), strict=True):
        shade, level = float(rng.uniform(0.15, 1.0)), float(rng.random())
        for dx in (0, -TILE, TILE):
            for dy in (0, -TILE, TILE):
                at = (int(center[0]) + dx, int(center[1]) + dy)
                if -20 < at[0] < TILE + 20 and -20 < at[1] < TILE + 20:
                    axes = (int(length), max(2, int(length) // 2))
                    cv2.ellipse(brightness, at, axes, int(angle), 0, 360, shade, -1)
                    cv2.ellipse(order, at, axes, int(angle), 0, 360, level, -1)
    return _frozen(np.tile(brightness, (3, 3))), _frozen(np.tile(order, (3, 3)))


@cache
def brick_tile() -> np.ndarray:
    """Returns bricks (TILE, TILE) float32, about -1..1: 32 courses of lighter and darker bricks with pale joints."""
    rng = np.random.default_rng(11)
    course, length = TILE // 32, TILE // 16
    tile = np.zeros((TILE, TILE), np.float32)
    for row in range(32):
        shades = np.repeat(rng.normal(0, 0.5, 16), length)
        shades[::length] = 0.9
        tile[row * course : (row + 1) * course] = np.roll(shades, (row % 2) * length // 2)
        tile[row * course : row * course + 2] = 0.9
    return _frozen(tile + 0.25 * cloud_tile(0.5, 3))


@cache
def tile_pyramid(name: str) -> tuple[np.ndarray, ...]:
    """Returns a tile (`brick` or `plaster`) at full, half, quarter ... size, to draw it far away."""
    tile = brick_tile() if name == "brick" else 0.7 * cloud_tile(1.5, 4) + 0.3 * cloud_tile(0.3, 6)
    levels: list[np.ndarray] = [tile.astype(np.float32)]
    while levels[-1].shape[0] > 8:
        half = levels[-1].shape[0] // 2
        levels.append(cv2.resize(levels[-1], (half, half), interpolation=cv2.INTER_AREA))
    return tuple(_frozen(level) for level in levels)


def sample(tile: np.ndarray, columns: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Returns the values of an endlessly repeated tile at float32 texel coordinates (each within +-30000)."""
    return cv2.remap(tile, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)


def _frozen(array: np.ndarray) -> np.ndarray:
    array.setflags(write=False)
    return array

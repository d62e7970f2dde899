"""Logits of several kinds, and the plain way to their class map."""

from __future__ import annotations

import numpy as np
import torch

# Weights and blends are rounded to float32 in another order than PyTorch does it: a few units in the last place.
ROUNDING = 1e-5


def assert_is_argmax(class_map: np.ndarray, logits: np.ndarray, *, align_corners: bool) -> None:
    """Checks each pixel's class against full-size logits; any of tied classes will do."""
    full = torch.nn.functional.interpolate(
        torch.from_numpy(logits)[None], class_map.shape, mode="bilinear", align_corners=align_corners
    )[0].numpy()
    chosen = np.take_along_axis(full, class_map[None].astype(np.int64), axis=0)[0]
    assert (chosen >= full.max(axis=0) - ROUNDING * np.abs(logits).max()).all()


def make_logits(kind: str, num_classes: int, size_hw: tuple[int, int], seed: int) -> np.ndarray:
    """Returns logits, (K, h, w) float32: `regions` with clear winners, `ties`, or else normal numbers."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(num_classes, *size_hw)).astype(np.float32)
    if kind == "regions":  # like a network's: one class far ahead in patches, so most cells have one winner
        patches = rng.integers(0, num_classes, (-(-size_hw[0] // 4), -(-size_hw[1] // 4)))
        ids = np.kron(patches, np.ones((4, 4), np.int64))[: size_hw[0], : size_hw[1]]
        logits += 10 * (np.arange(num_classes)[:, None, None] == ids)
    elif kind == "ties":
        logits = rng.integers(-1, 2, (num_classes, *size_hw)).astype(np.float32)
    return logits

"""Masks as polygons."""

from __future__ import annotations

import cv2
import numpy as np

Polygon = list[np.ndarray]
"""Rings of (N, 2) int32 points (x, y): first the outer ring, then one ring per hole."""


def mask_to_polygons(mask: np.ndarray) -> list[Polygon]:
    """Returns one polygon per connected region of a mask.

    Points are the centers of border pixels that belong to the mask: of the region's outermost pixels for the outer
    ring, and of the pixels around a hole for its ring. So the rings run through pixels of the mask, and a region of one
    pixel is a ring of one point. Pixels that touch at a corner are connected.

    Args:
        mask: (H, W) bool.

    Returns:
        Polygons; `polygons_to_mask` draws them back to exactly this mask.
    """
    rings, hierarchy = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    if hierarchy is None:
        return []
    # In a two-level hierarchy, holes name their outer ring in the last column, and outer rings have -1 there.
    parents = hierarchy.reshape(-1, 4)[:, 3]
    polygons = {index: [_points(ring)] for index, ring in enumerate(rings) if parents[index] < 0}
    for index, ring in enumerate(rings):
        if parents[index] >= 0:
            polygons[int(parents[index])].append(_points(ring))
    return list(polygons.values())


def polygons_to_mask(polygons: list[Polygon], size_hw: tuple[int, int]) -> np.ndarray:
    """Draws polygons of `mask_to_polygons`.

    Args:
        polygons: the regions; where they overlap, the mask is the union.
        size_hw: height and width of the mask.

    Returns:
        (H, W) bool.
    """
    mask = np.zeros(size_hw, np.uint8)
    for rings in polygons:  # one by one: OpenCV fills by the even-odd rule, which must not see other regions
        cv2.fillPoly(mask, rings, 1)
    return mask.astype(bool)


def _points(ring: np.ndarray) -> np.ndarray:
    return ring.reshape(-1, 2).astype(np.int32)

"""Repeating textures on vertical rectangles, in perspective."""

from __future__ import annotations

import cv2
import numpy as np

from rapidseg.scenes.camera import NEAR_M
from rapidseg.scenes.canvas import Canvas
from rapidseg.scenes.noise import TILE, tile_pyramid

_FADE = 0.75  # factor for the contrast of a texture at each halving of its resolution


def lay_texture(
    canvas: Canvas,
    quad: np.ndarray,
    origin: np.ndarray,
    along: np.ndarray,
    name: str,
    strength: float,
    texels_per_m: float,
) -> None:
    """Multiplies the colors in a rectangle by 1 + strength * texture.

    Args:
        canvas: the canvas to change.
        quad: (4, 3) corners in the camera's frame: lower left, lower right, upper right, upper left.
        origin, along: (3,) start of the texture, and the unit vector in which its columns run.
        name: name of the texture; see `tile_pyramid`.
        strength: relative change of brightness.
        texels_per_m: resolution of the texture.
    """
    shown = _cut_near(quad)
    if shown is None:
        return
    projected = canvas.camera.project(shown)
    box = canvas.box(projected)
    if box is None:
        return
    left, top, right, bottom = box
    positions = np.stack([(shown - origin) @ along, shown[:, 1]], axis=-1)
    level = _level(positions, projected, texels_per_m)
    strength *= _FADE**level
    if strength < 0.01:
        return
    source = positions * (texels_per_m / 2**level * np.array([1, -1])) + TILE
    target = (projected - np.array([left, top])).astype(np.float32)
    homography = cv2.getPerspectiveTransform(source.astype(np.float32), target)
    size_wh = (right - left, bottom - top)
    tile = tile_pyramid(name)[level]
    warped = cv2.warpPerspective(tile, homography, size_wh, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    mask = np.zeros(size_wh[::-1], np.uint8)
    cv2.fillConvexPoly(mask, np.rint(target * 16).clip(-(2**20), 2**20).astype(np.int32), 255, cv2.LINE_8, 4)
    view = canvas.image[top:bottom, left:right]
    factor = 1 + np.float32(strength) * warped
    cv2.copyTo(cv2.multiply(view, cv2.merge([factor] * 3), dtype=cv2.CV_8U), mask, view)


def _cut_near(quad: np.ndarray) -> np.ndarray | None:
    """Returns the part of a vertical rectangle in front of the near plane, or None."""
    depth = quad[:2, 2]
    if depth.max() < NEAR_M:
        return None
    if depth.min() >= NEAR_M:
        return quad
    inside, outside = (0, 1) if depth[0] > depth[1] else (1, 0)
    share = (depth[inside] - NEAR_M) / (depth[inside] - depth[outside])
    cut: np.ndarray = quad.copy()
    for hidden, seen in ((outside, inside), (3 - outside, 3 - inside)):
        cut[hidden] = quad[seen] + (quad[hidden] - quad[seen]) * share
    return cut


def _level(positions: np.ndarray, projected: np.ndarray, texels_per_m: float) -> int:
    """Returns how often to halve the texture so that a texel covers about a pixel, 0 to 6."""
    extent = np.maximum(np.ptp(positions, axis=0), 1e-6)
    across = abs(projected[1, 0] - projected[0, 0]) / extent[0]
    up = max(abs(projected[3, 1] - projected[0, 1]), abs(projected[2, 1] - projected[1, 1])) / extent[1]
    # Most walls are seen at a flat angle: halving for the narrow direction alone would blur the other one too much.
    pixels_per_m = max(min(2 * across, up), 1e-3)
    return int(np.clip(np.floor(np.log2(max(texels_per_m / pixels_per_m, 1.0))), 0, 6))

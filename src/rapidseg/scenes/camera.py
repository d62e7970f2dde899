"""The pinhole camera of a scene.

The camera's frame is in meters: X to the right, Y up from the ground, Z forward. The optical axis is level, and a shift
of the sensor moves the horizon, so vertical lines stay vertical in the image.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

NEAR_M = 0.8  # distance of the near plane


@dataclass(frozen=True)
class Camera:
    """A level pinhole camera.

    Attributes:
        size_hw: height and width of the image in pixels.
        focal_px: focal length in pixels.
        center_u: column of the optical axis, in pixels.
        horizon_v: row of the horizon, in pixels.
        height_m: height of the camera above the ground in meters.
    """

    size_hw: tuple[int, int]
    focal_px: float
    center_u: float
    horizon_v: float
    height_m: float

    def project(self, points: np.ndarray) -> np.ndarray:
        """Returns pixel coordinates (..., 2), column first, of points (..., 3) in front of the camera."""
        scale = self.focal_px / np.maximum(points[..., 2], NEAR_M)
        projected = np.empty((*points.shape[:-1], 2))
        projected[..., 0] = self.center_u + points[..., 0] * scale
        projected[..., 1] = self.horizon_v + (self.height_m - points[..., 1]) * scale
        return projected

    def project_polygon(self, points: np.ndarray) -> np.ndarray:
        """Returns pixel coordinates (M, 2) of a polygon (N, 3), clipped at the near plane.

        M is 0 if nothing is left.
        """
        if points[:, 2].min() < NEAR_M:
            points = _clip_near(points)
        return self.project(points) if len(points) else np.zeros((0, 2))

    def pixels_per_meter(self, distance_m: float) -> float:
        return self.focal_px / max(distance_m, NEAR_M)

    def ground(self, first_row: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns the ground points that the pixels from `first_row` down show.

        Returns:
            X (H - first_row, W) and Z (H - first_row, 1), float32 meters.
        """
        height, width = self.size_hw
        rows = np.arange(first_row, height, dtype=np.float32)[:, None]
        columns = np.arange(width, dtype=np.float32)[None, :]
        z = np.float32(self.height_m * self.focal_px) / (rows - np.float32(self.horizon_v))
        x = (columns - np.float32(self.center_u)) * (z / np.float32(self.focal_px))
        return x, z


def _clip_near(points: np.ndarray) -> np.ndarray:
    """Clips a polygon (N, 3) at the near plane (Sutherland-Hodgman)."""
    kept = []
    for start, end in zip(points, np.roll(points, -1, axis=0), strict=True):
        inside, next_inside = start[2] >= NEAR_M, end[2] >= NEAR_M
        if inside:
            kept.append(start)
        if inside != next_inside:
            kept.append(start + (end - start) * ((NEAR_M - start[2]) / (end[2] - start[2])))
    return np.array(kept) if len(kept) >= 3 else np.zeros((0, 3))

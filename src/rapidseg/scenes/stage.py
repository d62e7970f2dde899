"""The state that all drawing functions share."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

from rapidseg.scenes.camera import Camera
from rapidseg.scenes.canvas import Canvas, Sheet
from rapidseg.scenes.light import Light
from rapidseg.scenes.street import Street

_SHADE_SCALE = 2  # shadows on the ground are soft, so half the resolution is enough
_SHADOWS_SEEN_M = 110.0  # beyond, the viewing angle of the ground is too flat


@dataclass
class Stage:
    """A scene while it is drawn.

    Attributes:
        camera, street, light: the description of the scene.
        canvas: the image and the label map.
        house_shade: (H / 2, W / 2) float32, share of sunlight on the ground at each pixel with the shadows of houses
            only, 0..1.
        shade: the same with all shadows.
        openness: the same for the light of the sky; the ground around objects receives less of it.
    """

    camera: Camera
    street: Street
    light: Light
    canvas: Canvas = field(init=False)
    house_shade: np.ndarray = field(init=False)
    shade: np.ndarray = field(init=False)
    openness: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.canvas = Canvas(self.camera)
        height, width = self.camera.size_hw
        self.house_shade = np.ones((-(-height // _SHADE_SCALE), -(-width // _SHADE_SCALE)), np.float32)
        self.shade = self.openness = self.house_shade

    def cast_shadows(self, houses: list[np.ndarray], objects: list[np.ndarray]) -> None:
        """Computes the shadows on the ground of convex bodies, each given by points (N, 3) on its surface."""
        if self.light.sun_gain.max() < 0.1:
            return
        dark = np.zeros(self.shade.shape, np.uint8)
        self._shade(dark, houses)
        self.house_shade = self._softened(dark)
        self._shade(dark, objects)
        self.shade = self._softened(dark)

    def darken_feet(self, footprints: list[np.ndarray]) -> None:
        """Darkens the ground around objects in any weather; `footprints` are convex polygons (N, 3)."""
        dark = np.zeros(self.openness.shape, np.uint8)
        for reach_m, depth in ((0.45, 28), (0.22, 62), (0.08, 110)):
            layer = np.zeros_like(dark)
            for points in footprints:
                middle = points.mean(axis=0)
                outward = points - middle
                distance = np.maximum(np.linalg.norm(outward, axis=1, keepdims=True), 1e-6)
                projected = self.camera.project_polygon(points + outward / distance * reach_m) / _SHADE_SCALE
                if len(projected) >= 3:
                    fixed = np.rint(np.clip(projected, -20_000, 20_000) * 16).astype(np.int32)
                    cv2.fillPoly(layer, [fixed], depth, cv2.LINE_AA, 4)
            dark = np.maximum(dark, layer)
        self.openness = self._softened(dark)

    def _shade(self, dark: np.ndarray, bodies: list[np.ndarray]) -> None:
        slope = self.light.sun / self.light.sun[1]
        for points in bodies:
            if points[0, 2] > _SHADOWS_SEEN_M:
                continue
            on_ground = points - points[:, 1:2] * slope
            hull = cv2.convexHull(on_ground[:, [0, 2]].astype(np.float32))[:, 0].astype(np.float64)
            corners = np.stack([hull[:, 0], np.zeros(len(hull)), hull[:, 1]], axis=-1)
            projected = self.camera.project_polygon(corners) / _SHADE_SCALE
            if len(projected) >= 3:
                fixed = np.rint(np.clip(projected, -20_000, 20_000) * 16).astype(np.int32)
                cv2.fillPoly(dark, [fixed], 255, cv2.LINE_AA, 4)

    def _softened(self, dark: np.ndarray) -> np.ndarray:
        reach = max(3, self.camera.size_hw[1] // 500) | 1
        return 1 - cv2.GaussianBlur(dark, (reach, reach), 0).astype(np.float32) / 255

    def sunlit(self, point: np.ndarray) -> float:
        """Returns the share of sunlight at a ground point (3,) in the shadows of houses, 0..1; 1 outside the image."""
        column, row = np.rint(self.camera.project(point) / _SHADE_SCALE).astype(int)
        height, width = self.house_shade.shape
        return float(self.house_shade[row, column]) if 0 <= row < height and 0 <= column < width else 1.0

    def lay_down(self, sheet: Sheet, distance_m: float) -> None:
        sheet.lay_down(self.light.haze_color, self.light.haze(distance_m))

"""The image and its label map, which are drawn together.

Drawing is antialiased in the image; in the label map each pixel has the id of the object that covers most of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum

import cv2
import numpy as np

from rapidseg.scenes.camera import NEAR_M, Camera

_SHIFT = 4  # polygons are drawn to 1/16 pixel
_LIMIT_PX = 30_000.0  # coordinates are clipped this far outside the image


class Label(IntEnum):
    """The label ids (not train ids) of Cityscapes that occur in scenes."""

    NOTHING = 0
    EGO_VEHICLE = 1
    STATIC = 4
    ROAD = 7
    SIDEWALK = 8
    BUILDING = 11
    WALL = 12
    FENCE = 13
    POLE = 17
    TRAFFIC_LIGHT = 19
    TRAFFIC_SIGN = 20
    VEGETATION = 21
    TERRAIN = 22
    SKY = 23
    PERSON = 24
    RIDER = 25
    CAR = 26
    TRUCK = 27
    BUS = 28
    TRAIN = 31
    MOTORCYCLE = 32
    BICYCLE = 33


def scalar(color: Sequence[float] | np.ndarray) -> tuple[float, float, float]:
    """Returns an RGB color for OpenCV, clipped to 0..255."""
    red, green, blue = np.rint(np.minimum(np.maximum(color, 0), 255)).tolist()
    return red, green, blue


def _fixed_point(points: np.ndarray) -> np.ndarray:
    fixed: np.ndarray = np.rint(np.minimum(np.maximum(points, -_LIMIT_PX), _LIMIT_PX) * (1 << _SHIFT)).astype(np.int32)
    return fixed


class Canvas:
    """An image with its label map.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        label: (H, W) uint8 `Label` ids.
    """

    def __init__(self, camera: Camera) -> None:
        self.camera = camera
        self.image = np.zeros((*camera.size_hw, 3), np.uint8)
        self.label = np.zeros(camera.size_hw, np.uint8)

    def polygon(self, points: np.ndarray, color: np.ndarray, label: Label | None = None) -> np.ndarray:
        """Fills a polygon (N, 3) in meters; returns its pixel coordinates (M, 2), with M = 0 if it is not visible."""
        projected = self.camera.project_polygon(points)
        if len(projected):
            corners = [_fixed_point(projected)]
            cv2.fillPoly(self.image, corners, scalar(color), cv2.LINE_AA, _SHIFT)
            if label is not None:
                cv2.fillPoly(self.label, corners, int(label), cv2.LINE_8, _SHIFT)
        return projected

    def polygons(self, quads: np.ndarray, color: np.ndarray) -> None:
        """Fills polygons (N, K, 3) in meters that do not overlap with a color; does not change labels."""
        if not len(quads):
            return
        in_front = quads[..., 2].min(axis=1) >= NEAR_M
        corners = list(_fixed_point(self.camera.project(quads[in_front])))
        for quad in quads[~in_front]:
            projected = self.camera.project_polygon(quad)
            if len(projected):
                corners.append(_fixed_point(projected))
        if corners:
            cv2.fillPoly(self.image, corners, scalar(color), cv2.LINE_AA, _SHIFT)

    def box(self, points: np.ndarray, margin_px: int = 0) -> tuple[int, int, int, int] | None:
        """Returns left, top, right, bottom of the part of the image around pixel coordinates, or None if outside."""
        height, width = self.label.shape
        low, high = np.floor(points.min(axis=0)), np.ceil(points.max(axis=0))
        left, top = max(int(low[0]) - margin_px, 0), max(int(low[1]) - margin_px, 0)
        right, bottom = min(int(high[0]) + 1 + margin_px, width), min(int(high[1]) + 1 + margin_px, height)
        return (left, top, right, bottom) if left < right and top < bottom else None

    def blend(self, box: tuple[int, int, int, int], color: np.ndarray, alpha: np.ndarray) -> None:
        """Blends `color` (already multiplied by `alpha`) over a box of the image.

        Args:
            color: (h, w, 3), 0..255.
            alpha: (h, w), 0..1, float32.
        """
        left, top, right, bottom = box
        view = self.image[top:bottom, left:right]
        rest = cv2.multiply(view, cv2.merge([1 - alpha] * 3), dtype=cv2.CV_32F)
        view[:] = cv2.add(rest, color, dtype=cv2.CV_8U)


@dataclass
class Sheet:
    """A layer of higher resolution over a part of the canvas, on which an object is drawn before blending.

    This avoids seams between adjacent faces, which separate antialiasing would cause.

    Attributes:
        canvas: the canvas below.
        box: left, top, right, bottom in the image, in pixels.
        fineness: sheet pixels per image pixel, along each side.
    """

    canvas: Canvas
    box: tuple[int, int, int, int]
    fineness: int
    color: np.ndarray = field(init=False)  # (h, w, 4) uint8: RGB and coverage
    label: np.ndarray = field(init=False)  # (h, w) uint8, 0 where empty
    _labels: set[int] = field(init=False, default_factory=set)

    def __post_init__(self) -> None:
        left, top, right, bottom = self.box
        size = ((bottom - top) * self.fineness, (right - left) * self.fineness)
        self.color = np.zeros((*size, 4), np.uint8)
        self.label = np.zeros(size, np.uint8)

    @classmethod
    def over(cls, canvas: Canvas, points: np.ndarray) -> Sheet | None:
        """Returns a sheet around pixel coordinates (N, 2), or None if they are outside the image."""
        box = canvas.box(points, margin_px=2)
        if box is None:
            return None
        extent = max(box[2] - box[0], box[3] - box[1])
        return cls(canvas, box, 2 if extent > 160 else 3 if extent > 50 else 5)

    def _corners(self, points: np.ndarray) -> np.ndarray:
        offset = np.array(self.box[:2])
        return _fixed_point((points - offset + 0.5) * self.fineness - 0.5)

    def polygon(self, points: np.ndarray, color: np.ndarray | None, label: Label | None) -> None:
        """Fills a polygon in pixel coordinates (N, 2) of the image.

        Without a color only the label is drawn (the gaps between spokes belong to a bicycle), without a label only the
        color.
        """
        corners = [self._corners(points)]
        if color is not None:
            cv2.fillPoly(self.color, corners, (*scalar(color), 255), cv2.LINE_8, _SHIFT)
        if label is not None:
            cv2.fillPoly(self.label, corners, int(label), cv2.LINE_8, _SHIFT)
            self._labels.add(int(label))

    def faces(self, corners: np.ndarray, colors: np.ndarray) -> None:
        """Fills convex polygons (N, K, 2) in pixel coordinates with colors (N, 3), in this order."""
        shades = np.rint(np.minimum(np.maximum(colors, 0), 255)).tolist()
        for face, (red, green, blue) in zip(self._corners(corners), shades, strict=True):
            cv2.fillConvexPoly(self.color, face, (red, green, blue, 255), cv2.LINE_8, _SHIFT)

    def label_all(self, label: Label) -> None:
        """Sets the label of everything on the sheet."""
        self.label[self.color[..., 3] > 0] = label
        self._labels = {int(label)}

    def weave(self, tile: np.ndarray, strength: float, across_px: float, down_px: float) -> None:
        """Modulates the brightness of everything on the sheet with a repeating tile (N, N) of mean 0.

        A texel covers `across_px` by `down_px` image pixels.
        """
        rows, columns = self.label.shape
        need = [int(extent / (size * self.fineness)) + 2 for extent, size in ((rows, down_px), (columns, across_px))]
        part = np.tile(tile, [-(-count // len(tile)) for count in need])[: need[0], : need[1]]
        factor = 1 + np.float32(strength) * cv2.resize(part, (columns, rows), interpolation=cv2.INTER_LINEAR)
        self.color[..., :3] = cv2.multiply(self.color[..., :3], cv2.merge([factor] * 3), dtype=cv2.CV_8U)

    def line(
        self, points: np.ndarray, width_px: float, color: np.ndarray, label: Label | None, *, closed: bool = False
    ) -> None:
        """Draws a line of `width_px` image pixels through pixel coordinates (N, 2) of the image."""
        corners = [self._corners(points)]
        width = max(1, round(width_px * self.fineness))
        cv2.polylines(self.color, corners, closed, (*scalar(color), 255), width, cv2.LINE_8, _SHIFT)
        if label is not None:
            cv2.polylines(self.label, corners, closed, int(label), width, cv2.LINE_8, _SHIFT)
            self._labels.add(int(label))

    def lay_down(self, haze_color: np.ndarray, haze: float) -> None:
        """Blends the sheet onto the canvas; `haze` is the share of `haze_color` in its colors, 0..1."""
        left, top, right, bottom = self.box
        size_wh = (right - left, bottom - top)
        small = cv2.resize(self.color, size_wh, interpolation=cv2.INTER_AREA).astype(np.float32)
        alpha = small[..., 3] * np.float32(1 / 255)
        color = small[..., :3] * np.float32(1 - haze)
        if haze > 0:
            color += alpha[..., None] * (haze_color.astype(np.float32) * np.float32(haze))
        self.canvas.blend(self.box, color, alpha)
        self._lay_down_label(self.canvas.label[top:bottom, left:right])

    def _lay_down_label(self, view: np.ndarray) -> None:
        """Writes the most frequent label of each pixel, if labels cover half of it, into a view of the label map."""
        names = sorted(self._labels)
        size_wh = (view.shape[1], view.shape[0])
        shares = [
            cv2.resize(cv2.inRange(self.label, (name,), (name,)), size_wh, interpolation=cv2.INTER_AREA)
            for name in names
        ]
        if len(names) == 1:
            view[shares[0] >= 128] = names[0]
        elif names:
            stacked = np.stack(shares)
            seen = stacked.sum(axis=0, dtype=np.uint16) >= 128
            view[seen] = np.array(names, np.uint8)[stacked.argmax(axis=0)][seen]

"""People, bicycles and motorcycles as rounded limbs and wheels."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from rapidseg.scenes.camera import NEAR_M
from rapidseg.scenes.canvas import Label, Sheet
from rapidseg.scenes.meshes import Pose
from rapidseg.scenes.noise import cloud_tile
from rapidseg.scenes.stage import Stage

_ANGLES = np.arange(14) * (2 * np.pi / 14)
_CIRCLE = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=-1)


@dataclass(frozen=True)
class Limb:
    """A rounded bar between two points in the figure's frame (x forward, y up, z right), in meters.

    Attributes:
        start, end: (3,) the ends.
        start_radius, end_radius: radii at the ends.
        start_wide, end_wide: extension to both sides (z) at the ends, for a flat limb such as a torso.
        color: RGB in diffuse light.
        label: its label.
    """

    start: tuple[float, float, float]
    end: tuple[float, float, float]
    start_radius: float
    end_radius: float
    color: np.ndarray
    label: Label
    start_wide: float = 0.0
    end_wide: float = 0.0

    def centers(self) -> np.ndarray:
        """Returns the centers (4, 3) of the spheres whose hull is the limb: two at its start, two at its end."""
        sides = np.array([[0.0, 0.0, -1.0], [0.0, 0.0, 1.0]])
        start, end = np.array(self.start), np.array(self.end)
        return np.concatenate([start + sides * self.start_wide, end + sides * self.end_wide])

    @property
    def radii(self) -> tuple[float, float, float, float]:
        return self.start_radius, self.start_radius, self.end_radius, self.end_radius


@dataclass(frozen=True)
class Wheel:
    """An upright wheel with spokes, along the figure: center (3,), radius and thickness of the tire."""

    center: tuple[float, float, float]
    radius: float
    tire: float
    filled: bool
    label: Label


@dataclass(frozen=True)
class Figure:
    """Limbs and wheels that are drawn together."""

    pose: Pose
    limbs: tuple[Limb, ...]
    wheels: tuple[Wheel, ...] = ()

    @property
    def distance(self) -> float:
        return float(np.hypot(self.pose.base[0], self.pose.base[2]))

    def shadows(self) -> list[np.ndarray]:
        """Returns points around each thick limb, for the shadow."""
        bodies = []
        sides = np.array([[1, 0, 0], [-1, 0, 0], [0, 0, 1], [0, 0, -1], [0, 1, 0], [0, -1, 0]], np.float64)
        for limb in self.limbs:
            if max(limb.start_radius, limb.end_radius) > 0.045:
                around = limb.centers()[:, None] + sides * np.array(limb.radii)[:, None, None]
                bodies.append(self.pose.to_camera(around.reshape(-1, 3)))
        return bodies


def draw_figure(stage: Stage, figure: Figure) -> None:
    """Draws a figure, its parts from far to near."""
    if figure.pose.base[2] < NEAR_M + 1.2:
        return
    radii = np.array([limb.radii for limb in figure.limbs])
    placed = figure.pose.to_camera(np.array([limb.centers() for limb in figure.limbs]))
    reach = [placed.reshape(-1, 3)]
    rims = [figure.pose.to_camera(np.array(wheel.center) + wheel.radius * _upright()) for wheel in figure.wheels]
    outline = stage.camera.project(np.concatenate(reach + rims))
    pad = radii.max() * stage.camera.pixels_per_meter(figure.pose.base[2])
    sheet = Sheet.over(stage.canvas, np.concatenate([outline - pad, outline + pad]))
    if sheet is None:
        return
    gain_side = stage.light.gain(np.array([[0.0, 0.35, -0.94]]), stage.sunlit(figure.pose.base))[0]
    painter = _LimbPainter(stage, sheet, gain_side, stage.sunlit(figure.pose.base))
    for wheel, rim in zip(figure.wheels, rims, strict=True):
        painter.wheel(wheel, rim, figure.pose)
    # The torso is moved forward a little, so that the shirt covers the legs.
    forward = np.array([0.12 if limb.end_wide > 0 else 0.0 for limb in figure.limbs])
    nearness = forward - placed[..., 2].mean(axis=1)
    for index in np.argsort(nearness, kind="stable"):
        painter.limb(figure.limbs[index], placed[index])
    scale = stage.camera.pixels_per_meter(figure.pose.base[2])
    if scale > 30:  # folds in the clothes
        sheet.weave(cloud_tile(1.0, 8), 0.10, 0.012 * scale, 0.03 * scale)
    stage.lay_down(sheet, figure.distance)


def _upright() -> np.ndarray:
    angles = np.arange(24) * (2 * np.pi / 24)
    return np.stack([np.cos(angles), np.sin(angles), np.zeros(24)], axis=-1)


class _LimbPainter:
    def __init__(self, stage: Stage, sheet: Sheet, gain: np.ndarray, sunlit: float) -> None:
        self.stage, self.sheet, self.gain = stage, sheet, gain
        side = float(np.sign(stage.light.sun[0]))
        self.contrast = 0.12 + 0.25 * float(stage.light.sun_gain.max()) * sunlit
        self.towards_light = side

    def limb(self, limb: Limb, centers: np.ndarray) -> None:
        """Draws a limb as three bars of increasing brightness, narrower towards the light, so that it looks round."""
        camera = self.stage.camera
        seen = camera.project(centers)
        radius = np.array(limb.radii) * camera.focal_px / np.maximum(centers[:, 2], NEAR_M)
        inner = seen.reshape(2, 2, 2).mean(axis=1).repeat(2, axis=0)
        base = limb.color * self.gain
        contrast = self.contrast * (0.6 if limb.end_wide > 0 else 1.0)
        steps = [(1.0, 0.0, 1 - contrast)]
        if radius.max() > 1.5:
            steps += [
                (0.84, 0.12, 1 - 0.4 * contrast),
                (0.64, 0.26, 1 + 0.2 * contrast),
                (0.36, 0.42, 1 + 0.8 * contrast),
            ]
        for size, shift, tone in steps:
            moved = inner + (seen - inner) * size + np.array([[self.towards_light, -0.35]]) * (radius * shift)[:, None]
            points = moved[:, None] + _CIRCLE * (radius * size)[:, None, None]
            hull = cv2.convexHull(points.reshape(-1, 2).astype(np.float32))[:, 0].astype(np.float64)
            self.sheet.polygon(hull, base * tone, limb.label if size == 1.0 else None)

    def wheel(self, wheel: Wheel, rim: np.ndarray, pose: Pose) -> None:
        camera = self.stage.camera
        scale = camera.pixels_per_meter(pose.base[2])
        outline = camera.project(rim)
        rubber = np.array([34.0, 34.0, 36.0]) * self.gain
        steel = np.array([150.0, 152.0, 156.0]) * self.gain
        self.sheet.polygon(outline, None, wheel.label)
        if wheel.filled:
            self.sheet.polygon(outline, rubber * 0.8, wheel.label)
        elif scale > 40:
            hub = camera.project(pose.to_camera(np.array([wheel.center])))[0]
            for spoke in outline[::2]:
                self.sheet.line(np.stack([hub, spoke]), 0.005 * scale, steel * 0.8, None)
        self.sheet.line(outline, max(wheel.tire * scale, 0.5), rubber, wheel.label, closed=True)
        if wheel.filled:
            center = camera.project(pose.to_camera(np.array([wheel.center])))[0]
            self.sheet.polygon(center + (outline - center) * 0.5, steel * 0.7, wheel.label)

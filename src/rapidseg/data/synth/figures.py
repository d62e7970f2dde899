"""Bodies made of rounded limbs: how people, bicycles and motorcycles are drawn."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from rapidseg.data.synth.camera import NEAR_M
from rapidseg.data.synth.canvas import Label, Sheet
from rapidseg.data.synth.meshes import Pose
from rapidseg.data.synth.noise import cloud_tile
from rapidseg.data.synth.stage import Stage

_ANGLES = np.arange(14) * (2 * np.pi / 14)
_CIRCLE = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=-1)


@dataclass(frozen=True)
class Limb:
    """A rounded bar between two points of a figure's own frame (x forward, y up, z right), metres.

    Attributes:
        start, end: (3,) its ends.
        start_radius, end_radius: its radii there.
        colour: RGB in diffuse light.
        label: what it belongs to.
    """

    start: tuple[float, float, float]
    end: tuple[float, float, float]
    start_radius: float
    end_radius: float
    colour: np.ndarray
    label: Label


@dataclass(frozen=True)
class Wheel:
    """A wheel with spokes that stands upright along the figure: centre (3,), radius and thickness of the tyre."""

    centre: tuple[float, float, float]
    radius: float
    tyre: float
    filled: bool
    label: Label


@dataclass(frozen=True)
class Figure:
    """What is drawn as one: limbs and wheels, in one place."""

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
                ends = [np.array(limb.start) + sides * limb.start_radius, np.array(limb.end) + sides * limb.end_radius]
                bodies.append(self.pose.to_camera(np.concatenate(ends)))
        return bodies


def draw_figure(stage: Stage, figure: Figure) -> None:
    """Draws a figure, its parts from far to near."""
    if figure.pose.base[2] < NEAR_M + 1.2:
        return
    ends = np.array([(limb.start, limb.end) for limb in figure.limbs], np.float64)
    radii = np.array([(limb.start_radius, limb.end_radius) for limb in figure.limbs], np.float64)
    placed = figure.pose.to_camera(ends)
    reach = [placed.reshape(-1, 3)]
    rims = [figure.pose.to_camera(np.array(wheel.centre) + wheel.radius * _upright()) for wheel in figure.wheels]
    outline = stage.camera.project(np.concatenate(reach + rims))
    pad = radii.max() * stage.camera.pixels_per_metre(figure.pose.base[2])
    sheet = Sheet.over(stage.canvas, np.concatenate([outline - pad, outline + pad]))
    if sheet is None:
        return
    gain_side = stage.light.gain(np.array([[0.0, 0.35, -0.94]]), stage.sunlit(figure.pose.base))[0]
    painter = _LimbPainter(stage, sheet, gain_side, stage.sunlit(figure.pose.base))
    for wheel, rim in zip(figure.wheels, rims, strict=True):
        painter.wheel(wheel, rim, figure.pose)
    # What is thick comes forward: a coat lies over the legs in it.
    nearness = radii.max(axis=1) - placed[..., 2].mean(axis=1)
    for index in np.argsort(nearness, kind="stable"):
        painter.limb(figure.limbs[index], placed[index])
    scale = stage.camera.pixels_per_metre(figure.pose.base[2])
    if scale > 30:  # folds in the clothes
        sheet.weave(cloud_tile(1.0, 8), 0.13, 0.012 * scale, 0.03 * scale)
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

    def limb(self, limb: Limb, ends: np.ndarray) -> None:
        """Draws a limb as three bars of rising brightness, the narrower moved towards the light: it looks round."""
        camera = self.stage.camera
        middle = camera.project(ends)
        scale = camera.focal_px / np.maximum(ends[:, 2], NEAR_M)
        radius = np.array([limb.start_radius, limb.end_radius]) * scale
        base = limb.colour * self.gain
        steps = [(1.0, 0.0, 1 - self.contrast)]
        if radius.max() > 1.5:
            steps += [(0.72, 0.24, 1.0), (0.36, 0.42, 1 + self.contrast)]
        for size, shift, tone in steps:
            moved = middle + np.array([[self.towards_light, -0.35]]) * (radius * shift)[:, None]
            points = np.concatenate([moved[0] + _CIRCLE * radius[0] * size, moved[1] + _CIRCLE * radius[1] * size])
            hull = cv2.convexHull(points.astype(np.float32))[:, 0].astype(np.float64)
            self.sheet.polygon(hull, base * tone, limb.label if size == 1.0 else None)

    def wheel(self, wheel: Wheel, rim: np.ndarray, pose: Pose) -> None:
        camera = self.stage.camera
        scale = camera.pixels_per_metre(pose.base[2])
        outline = camera.project(rim)
        rubber = np.array([34.0, 34.0, 36.0]) * self.gain
        steel = np.array([150.0, 152.0, 156.0]) * self.gain
        self.sheet.polygon(outline, None, wheel.label)
        if wheel.filled:
            self.sheet.polygon(outline, rubber * 0.8, wheel.label)
        elif scale > 40:
            hub = camera.project(pose.to_camera(np.array([wheel.centre])))[0]
            for spoke in outline[::2]:
                self.sheet.line(np.stack([hub, spoke]), 0.005 * scale, steel * 0.8, None)
        self.sheet.line(outline, max(wheel.tyre * scale, 0.5), rubber, wheel.label, closed=True)
        if wheel.filled:
            centre = camera.project(pose.to_camera(np.array([wheel.centre])))[0]
            self.sheet.polygon(centre + (outline - centre) * 0.5, steel * 0.7, wheel.label)

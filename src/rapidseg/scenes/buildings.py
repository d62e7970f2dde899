"""Houses: boxes with a front, ends and a roof."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rapidseg.scenes.canvas import Label
from rapidseg.scenes.facades import FrontPainter, Wall
from rapidseg.scenes.house_fronts import paint_end, paint_house_front, paint_office_front
from rapidseg.scenes.stage import Stage
from rapidseg.scenes.street import CURB_M, Street

_PLASTER = np.array(
    [
        [214, 202, 176], [226, 218, 200], [198, 176, 138], [206, 160, 124], [188, 188, 182],
        [222, 206, 164], [176, 160, 148], [204, 184, 172], [164, 172, 168], [234, 230, 222],
    ],
    np.float64,
)  # fmt: skip
_BRICK = np.array(
    [[146, 88, 70], [132, 84, 72], [166, 118, 88], [172, 146, 108], [120, 82, 74], [150, 124, 104]], np.float64
)
_STONE = np.array([[178, 166, 142], [158, 152, 142], [188, 180, 164]], np.float64)
_CONCRETE = np.array([[150, 150, 148], [172, 170, 166], [128, 132, 136], [196, 194, 190]], np.float64)
_ROOF = np.array([[128, 74, 58], [104, 66, 56], [92, 90, 92], [76, 76, 82], [112, 96, 86]], np.float64)


@dataclass(frozen=True)
class Plot:
    """Position and size of a house: `s` from start to end, its front at `t`, `depth` away from the street."""

    start: float
    end: float
    t: float
    depth: float
    height: float
    kind: str  # "town", "office" or "cottage"
    seed: int

    def corners(self, street: Street) -> np.ndarray:
        """Returns the ground points (4, 3): front near, front far, back far, back near."""
        back = self.t + np.sign(self.t) * self.depth
        s = np.array([self.start, self.end, self.end, self.start])
        return street.to_camera(s, np.array([self.t, self.t, back, back]), CURB_M)


def plot_body(street: Street, plot: Plot) -> np.ndarray:
    """Returns the corners (8, 3) of a house, for its shadow."""
    corners = plot.corners(street)
    return np.concatenate([corners, corners + np.array([0.0, plot.height, 0.0])])


def draw_building(stage: Stage, plot: Plot) -> None:
    """Draws a house; houses must be drawn from far to near."""
    rng = np.random.default_rng(plot.seed)
    near, far, back_far, back_near = plot.corners(stage.street)
    palette = {"town": _PLASTER, "cottage": _PLASTER, "office": _CONCRETE}[plot.kind]
    texture, strength, texels = "plaster", 0.045, 40.0
    if plot.kind != "office" and rng.random() < 0.4:
        palette, texture, strength, texels = _BRICK, "brick", 0.14, 200.0
    elif plot.kind == "town" and rng.random() < 0.25:
        palette = _STONE
    albedo = palette[rng.integers(len(palette))] * rng.uniform(0.78, 1.02) + rng.normal(0, 4, 3)
    roof = _ROOF[rng.integers(len(_ROOF))] * rng.uniform(0.85, 1.1)
    pitched = plot.kind == "cottage" or (plot.kind == "town" and rng.random() < 0.6)
    if pitched:
        _pitched_roof(stage, plot, roof, albedo, rng)
    # Clockwise seen from above, so that the front of each wall faces outwards.
    ring = [near, far, back_far, back_near] if plot.t < 0 else [far, near, back_near, back_far]
    ends = [(ring[1], ring[2]), (ring[3], ring[0])]
    for left, right in [(ring[2], ring[3]), *ends]:
        wall = Wall.between(left, right, plot.height)
        if wall.is_seen:
            painter = FrontPainter(stage, wall, 0.9)
            painter.surface(albedo * 0.94, texture, strength, texels)
            if plot.kind == "office" or rng.random() < 0.6:
                paint_end(painter, rng)
    wall = Wall.between(ring[0], ring[1], plot.height)
    if not wall.is_seen:
        return
    sunlit = _sunlit_share(stage, wall)
    painter = FrontPainter(stage, wall, sunlit)
    painter.surface(albedo, texture, strength, texels)
    if plot.kind == "office":
        paint_office_front(painter, albedo, rng)
    else:
        paint_house_front(painter, albedo, rng, shop=plot.kind == "town" and rng.random() < 0.6)


def _sunlit_share(stage: Stage, wall: Wall) -> float:
    """Returns the share of a front that the houses opposite do not shade, 0..1, assuming a height of 11 m."""
    towards = float(wall.outward @ stage.light.sun)
    if towards <= 0:
        return 0.0
    gap = 2 * stage.street.half_width + stage.street.left.frontage + stage.street.right.frontage
    shadow_top = 11.0 - gap * stage.light.sun[1] / towards
    return float(np.clip(1 - shadow_top / wall.height, 0.0, 1.0))


def _pitched_roof(stage: Stage, plot: Plot, roof: np.ndarray, albedo: np.ndarray, rng: np.random.Generator) -> None:
    """Draws a roof with its ridge along the street, with gables and chimneys."""
    sign = float(np.sign(plot.t))
    rise = plot.depth / 2 * rng.uniform(0.5, 0.9)
    middle = plot.t + sign * plot.depth / 2
    s = np.array([plot.start, plot.end])
    eaves_front = stage.street.to_camera(s, plot.t - sign * 0.3, plot.height - 0.1)
    ridge = stage.street.to_camera(s, middle, plot.height + rise)
    eaves_back = stage.street.to_camera(s, plot.t + sign * plot.depth, plot.height)
    distance = float(np.linalg.norm(ridge.mean(axis=0)[[0, 2]]))
    for gable in (1, 0):
        triangle = np.stack([eaves_front[gable], ridge[gable], eaves_back[gable]])
        gain = stage.light.gain(np.array([0.0, 0.0, -1.0 if gable == 0 else 1.0]), 0.9)
        stage.canvas.polygon(triangle, stage.light.through_haze(albedo * gain * 0.94, distance), Label.BUILDING)
    for _ in range(int(rng.integers(0, 3))):
        at = rng.uniform(plot.start + 1, plot.end - 1)
        top = plot.height + rise + rng.uniform(0.5, 1.3)
        stack = [
            stage.street.to_camera(at + ds, middle, y)
            for ds, y in ((-0.5, plot.height + rise - 0.8), (0.5, plot.height + rise - 0.8), (0.5, top), (-0.5, top))
        ]
        gain = stage.light.gain(np.array([-sign * 0.7, 0.0, -0.7]))
        brick = _BRICK[rng.integers(len(_BRICK))]
        stage.canvas.polygon(np.array(stack), stage.light.through_haze(brick * gain, distance), Label.BUILDING)
    slope = np.stack([eaves_front[0], eaves_front[1], ridge[1], ridge[0]])
    normal = np.cross(slope[1] - slope[0], slope[3] - slope[0])
    normal *= np.sign(normal[1]) / np.linalg.norm(normal)
    if float(normal @ (np.array([0.0, stage.camera.height_m, 0.0]) - slope[0])) <= 0:
        return
    stage.canvas.polygon(slope, stage.light.through_haze(roof * stage.light.gain(normal), distance), Label.BUILDING)
    rows = np.linspace(0.06, 0.96, 12 if distance < 50 else 5)[:, None]
    if distance < 90:
        left = slope[0] + (slope[3] - slope[0]) * rows
        right = slope[1] + (slope[2] - slope[1]) * rows
        up = (slope[3] - slope[0]) * 0.03
        stage.canvas.polygons(
            np.stack([left, right, right + up, left + up], axis=1),
            stage.light.through_haze(roof * 0.86 * stage.light.gain(normal), distance),
        )

"""Houses: boxes with a front, ends and a roof."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rapidseg.data.synth.canvas import Label
from rapidseg.data.synth.facades import FrontPainter, Wall
from rapidseg.data.synth.stage import Stage
from rapidseg.data.synth.street import KERB_M, Street

PLASTER = np.array(
    [
        [214, 202, 176], [226, 218, 200], [198, 176, 138], [206, 160, 124], [188, 188, 182],
        [222, 206, 164], [176, 160, 148], [204, 184, 172], [164, 172, 168], [234, 230, 222],
    ],
    np.float64,
)  # fmt: skip
BRICK = np.array(
    [[146, 88, 70], [132, 84, 72], [166, 118, 88], [172, 146, 108], [120, 82, 74], [150, 124, 104]], np.float64
)
STONE = np.array([[178, 166, 142], [158, 152, 142], [188, 180, 164]], np.float64)
CONCRETE = np.array([[150, 150, 148], [172, 170, 166], [128, 132, 136], [196, 194, 190]], np.float64)
ROOF = np.array([[128, 74, 58], [104, 66, 56], [92, 90, 92], [76, 76, 82], [112, 96, 86]], np.float64)
SIGN = np.array(
    [
        [168, 34, 38],
        [30, 66, 128],
        [24, 96, 66],
        [34, 34, 38],
        [214, 168, 40],
        [220, 220, 216],
        [112, 48, 100],
        [206, 96, 32],
    ],
    np.float64,
)
_FRAME = np.array([[222.0, 222.0, 218.0], [92.0, 78.0, 66.0], [70.0, 74.0, 78.0]])


@dataclass(frozen=True)
class Plot:
    """Where a house stands: `s` from start to end, its front at `t`; `depth` away from the street."""

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
        return street.place(s, np.array([self.t, self.t, back, back]), KERB_M)


def plot_body(street: Street, plot: Plot) -> np.ndarray:
    """Returns the corners (8, 3) of a house, for its shadow."""
    corners = plot.corners(street)
    return np.concatenate([corners, corners + np.array([0.0, plot.height, 0.0])])


def draw_building(stage: Stage, plot: Plot) -> None:
    """Draws one house; houses must come from far to near."""
    rng = np.random.default_rng(plot.seed)
    near, far, back_far, back_near = plot.corners(stage.street)
    palette = {"town": PLASTER, "cottage": PLASTER, "office": CONCRETE}[plot.kind]
    texture, strength, texels = "plaster", 0.045, 40.0
    if plot.kind != "office" and rng.random() < 0.4:
        palette, texture, strength, texels = BRICK, "brick", 0.13, 100.0
    elif plot.kind == "town" and rng.random() < 0.25:
        palette = STONE
    albedo = palette[rng.integers(len(palette))] * rng.uniform(0.78, 1.02) + rng.normal(0, 4, 3)
    roof = ROOF[rng.integers(len(ROOF))] * rng.uniform(0.85, 1.1)
    pitched = plot.kind == "cottage" or (plot.kind == "town" and rng.random() < 0.6)
    if pitched:
        _pitched_roof(stage, plot, roof, albedo, rng)
    # Clockwise seen from above, so that each wall's front looks outwards.
    ring = [near, far, back_far, back_near] if plot.t < 0 else [far, near, back_near, back_far]
    ends = [(ring[1], ring[2]), (ring[3], ring[0])]
    for left, right in [(ring[2], ring[3]), *ends]:
        wall = Wall.between(left, right, plot.height)
        if wall.is_seen:
            painter = FrontPainter(stage, wall, 0.9)
            painter.surface(albedo * 0.94, texture, strength, texels)
            if (plot.kind != "office" and rng.random() < 0.6) or plot.kind == "office":
                _end_windows(painter, rng)
    wall = Wall.between(ring[0], ring[1], plot.height)
    if not wall.is_seen:
        return
    sunlit = _sunlit_share(stage, wall)
    painter = FrontPainter(stage, wall, sunlit)
    painter.surface(albedo, texture, strength, texels)
    if plot.kind == "office":
        _office_front(painter, albedo, rng)
    else:
        _house_front(painter, albedo, rng, shop=plot.kind == "town" and rng.random() < 0.6)


def _sunlit_share(stage: Stage, wall: Wall) -> float:
    """Returns how much of a front the houses opposite leave in the sun, 0..1, as if they were 11 m high."""
    towards = float(wall.outward @ stage.light.sun)
    if towards <= 0:
        return 0.0
    gap = 2 * stage.street.half_width + stage.street.left.frontage + stage.street.right.frontage
    shadow_top = 11.0 - gap * stage.light.sun[1] / towards
    return float(np.clip(1 - shadow_top / wall.height, 0.0, 1.0))


def _spread(length: float, pitch: float) -> tuple[np.ndarray, float]:
    """Returns the middles of as many openings as fit, and their distance."""
    count = max(1, int(length / pitch))
    step = length / count
    return (np.arange(count) + 0.5) * step, step


def _house_front(painter: FrontPainter, albedo: np.ndarray, rng: np.random.Generator, *, shop: bool) -> None:
    wall = painter.wall
    ground_floor = float(rng.uniform(3.3, 4.2)) if shop else float(rng.uniform(2.8, 3.4))
    floors = max(1, int((wall.height - ground_floor) / 3.0)) if wall.height > ground_floor + 2.4 else 0
    storey = (wall.height - ground_floor) / max(floors, 1)
    middles, step = _spread(wall.length, rng.uniform(2.0, 3.4))
    width = min(rng.uniform(0.9, 1.5), step * 0.62)
    frame = _FRAME[rng.choice(3, p=[0.7, 0.2, 0.1])]
    trim = albedo * rng.uniform(0.85, 0.95) if rng.random() < 0.4 else np.minimum(albedo * 1.18 + 12, 242)
    window_height = min(storey * rng.uniform(0.5, 0.66), 2.2)
    has_surround, has_band, has_sill = rng.random() < 0.5, rng.random() < 0.4, rng.random() < 0.7
    balconies = rng.random() < 0.2 and not shop
    reveal = albedo * 0.62
    bases = ground_floor + np.arange(floors) * storey
    y0 = np.repeat(bases + storey * 0.26, len(middles))
    y1 = y0 + window_height
    a0, a1 = np.tile(middles - width / 2, floors), np.tile(middles + width / 2, floors)
    if has_surround:
        painter.rectangles(a0 - 0.14, a1 + 0.14, y0 - 0.10, y1 + 0.16, trim)
    painter.windows(a0, a1, y0, y1, rng, reveal=reveal, frame=frame)
    if has_sill and painter.distance < 45:
        painter.rectangles(a0 - 0.1, a1 + 0.1, y0 - 0.12, y0 - 0.02, trim)
        painter.rectangles(a0 - 0.1, a1 + 0.1, y0 - 0.22, y0 - 0.12, albedo * 0.72)
    for floor, base in enumerate(bases):
        if balconies and floor % 2 == 0 and painter.distance < 60:
            for middle in middles[1::2]:
                painter.ledge(middle - 1.1, middle + 1.1, base - 0.1, base + 0.9, 0.9, trim * 0.9)
        if has_band and painter.distance < 80:
            painter.ledge(0.0, wall.length, base - 0.12, base + 0.06, 0.07, trim)
    if shop:
        _shop(painter, ground_floor, albedo, rng)
    else:
        _ground_floor(painter, ground_floor, middles, width, albedo, trim, frame, rng)
    painter.ledge(0.0, wall.length, wall.height - 0.35, wall.height, 0.3, trim * 0.95)
    if rng.random() < 0.7:  # a drainpipe
        pipe = 0.2 if painter.eye_a < wall.length / 2 else wall.length - 0.2
        painter.rectangles(pipe - 0.05, pipe + 0.05, 0.0, wall.height - 0.3, albedo * 0.6)


def _ground_floor(
    painter: FrontPainter,
    height: float,
    middles: np.ndarray,
    width: float,
    albedo: np.ndarray,
    trim: np.ndarray,
    frame: np.ndarray,
    rng: np.random.Generator,
) -> None:
    length = painter.wall.length
    if rng.random() < 0.5:
        painter.rectangles(0.0, length, 0.0, 0.7, albedo * 0.72)
    door = int(rng.integers(len(middles)))
    doors = np.arange(len(middles)) == door
    a0, a1 = middles - width / 2, middles + width / 2
    count = int((~doors).sum())
    painter.rectangles(a0[~doors] - 0.1, a1[~doors] + 0.1, 0.8, height - 0.55, trim)
    painter.windows(
        a0[~doors],
        a1[~doors],
        np.full(count, 0.95),
        np.full(count, height - 0.7),
        rng,
        reveal=albedo * 0.6,
        frame=frame,
    )
    middle = middles[door]
    painter.rectangles(middle - 0.75, middle + 0.75, 0.0, 2.6, trim)
    painter.rectangles(middle - 0.55, middle + 0.55, 0.0, 2.4, SIGN[rng.integers(len(SIGN))] * 0.55 + 20)


def _shop(painter: FrontPainter, height: float, albedo: np.ndarray, rng: np.random.Generator) -> None:
    length = painter.wall.length
    units = max(1, round(length / rng.uniform(5, 8)))
    for unit in range(units):
        a0, a1 = unit * length / units + 0.25, (unit + 1) * length / units - 0.25
        board = SIGN[rng.integers(len(SIGN))] * rng.uniform(0.7, 1.0)
        painter.rectangles(a0, a1, 0.0, height - 0.3, board * 0.45 + 25)
        middles, step = _spread(a1 - a0, 2.0)
        left = a0 + middles - step / 2 + 0.08
        right = a0 + middles + step / 2 - 0.08
        low = np.full(len(left), 0.5)
        low[rng.integers(len(low))] = 0.05  # the door
        painter.windows(
            left, right, low, np.full(len(left), height - 1.15), rng,
            reveal=board * 0.3, frame=board * 0.4 + 20, recess_m=0.2, panes=1,
        )  # fmt: skip
        if painter.distance < 25:  # what is on show behind the glass
            count = int(rng.integers(3, 9))
            place = rng.uniform(a0 + 0.3, a1 - 0.5, count)
            base = rng.uniform(0.6, 1.2, count)
            for item in range(count):
                goods = rng.uniform(50, 170) + rng.normal(0, 22, 3)
                painter.rectangles(
                    place[item], place[item] + 0.35, base[item], base[item] + rng.uniform(0.2, 0.7), goods
                )
        painter.ledge(a0, a1, height - 1.0, height - 0.4, 0.14, board)
        if painter.distance < 70:
            letters = np.arange(a0 + (a1 - a0) * 0.22, a1 - (a1 - a0) * 0.22, 0.32)
            tall = rng.uniform(0.16, 0.30, len(letters))
            pale = np.array([232.0, 228.0, 216.0]) if board.mean() < 130 else np.array([50.0, 46.0, 44.0])
            painter.rectangles(letters, letters + 0.2, height - 0.85, height - 0.85 + tall, pale, 0.15)
        if rng.random() < 0.3 and painter.distance < 90:
            _awning(painter, a0, a1, height - 1.0, rng)


def _awning(painter: FrontPainter, a0: float, a1: float, y: float, rng: np.random.Generator) -> None:
    wall, stage = painter.wall, painter.stage
    out = rng.uniform(0.9, 1.5)
    colour = SIGN[rng.integers(len(SIGN))]
    gain = stage.light.gain(np.array([0.0, 0.8, 0.0]) + wall.outward * 0.6, painter.sunlit)
    painter.rectangles(a0, a1, y - 1.0, y - 0.1, np.array([60.0, 58.0, 56.0]))
    strips = np.linspace(a0, a1, 2 * max(2, int((a1 - a0) / 0.5)) + 1)
    whole = wall.points(np.array([a0, a1, a1, a0]), np.array([y, y, y - 0.5, y - 0.5]), np.array([0, 0, out, out]))
    stage.canvas.polygon(whole, painter.colour(colour), Label.BUILDING)
    for first, tint in ((0, colour), (1, colour * 0.4 + 140)):
        left, right = strips[:-1][first::2], strips[1:][first::2]
        across, down = np.stack([left, right, right, left], axis=-1), np.array([y, y, y - 0.5, y - 0.5])
        cloth = wall.points(across, down, np.array([0, 0, out, out]))
        stage.canvas.polygons(cloth, stage.light.through_haze(tint * gain, painter.distance))
        painter.rectangles(left, right, y - 0.72, y - 0.5, tint * 0.9, out)


def _office_front(painter: FrontPainter, albedo: np.ndarray, rng: np.random.Generator) -> None:
    wall = painter.wall
    ground_floor = float(rng.uniform(3.4, 4.4))
    floors = max(1, int((wall.height - ground_floor - 0.6) / 3.2))
    storey = (wall.height - ground_floor - 0.6) / floors
    frame = np.array([84.0, 88.0, 92.0])
    bands = rng.random() < 0.5
    middles, step = _spread(wall.length - 0.8, rng.uniform(1.3, 3.0))
    half = step * (0.48 if bands else 0.36)
    bases = ground_floor + np.arange(floors) * storey
    a0, a1 = np.tile(0.4 + middles - half, floors), np.tile(0.4 + middles + half, floors)
    y0 = np.repeat(bases + storey * 0.28, len(middles))
    painter.windows(a0, a1, y0, y0 + storey * 0.62, rng, reveal=albedo * 0.5, frame=frame, recess_m=0.10, panes=1)
    if bands and painter.distance < 60:
        painter.rectangles(0.0, wall.length, bases - 0.03, bases + 0.03, albedo * 0.8)
    _shop(painter, ground_floor, albedo, rng)
    painter.ledge(0.0, wall.length, wall.height - 0.5, wall.height, 0.15, albedo * 0.9)


def _end_windows(painter: FrontPainter, rng: np.random.Generator) -> None:
    wall = painter.wall
    middles, _ = _spread(wall.length, rng.uniform(3.0, 5.0))
    bases = np.arange(1.2, wall.height - 2.2, 3.1)
    a0, y0 = np.tile(middles - 0.5, len(bases)), np.repeat(bases, len(middles))
    reveal = np.array([96.0, 90.0, 82.0])
    painter.windows(a0, a0 + 1.0, y0, y0 + 1.5, rng, reveal=reveal, frame=_FRAME[0])


def _pitched_roof(stage: Stage, plot: Plot, roof: np.ndarray, albedo: np.ndarray, rng: np.random.Generator) -> None:
    """Draws a roof with its ridge along the street, its gables and chimneys."""
    sign = float(np.sign(plot.t))
    rise = plot.depth / 2 * rng.uniform(0.5, 0.9)
    middle = plot.t + sign * plot.depth / 2
    s = np.array([plot.start, plot.end])
    eaves_front = stage.street.place(s, plot.t - sign * 0.3, plot.height - 0.1)
    ridge = stage.street.place(s, middle, plot.height + rise)
    eaves_back = stage.street.place(s, plot.t + sign * plot.depth, plot.height)
    distance = float(np.linalg.norm(ridge.mean(axis=0)[[0, 2]]))
    for gable in (1, 0):
        triangle = np.stack([eaves_front[gable], ridge[gable], eaves_back[gable]])
        gain = stage.light.gain(np.array([0.0, 0.0, -1.0 if gable == 0 else 1.0]), 0.9)
        stage.canvas.polygon(triangle, stage.light.through_haze(albedo * gain * 0.94, distance), Label.BUILDING)
    for _ in range(int(rng.integers(0, 3))):
        at = rng.uniform(plot.start + 1, plot.end - 1)
        top = plot.height + rise + rng.uniform(0.5, 1.3)
        stack = [
            stage.street.place(at + ds, middle, y)
            for ds, y in ((-0.5, plot.height + rise - 0.8), (0.5, plot.height + rise - 0.8), (0.5, top), (-0.5, top))
        ]
        gain = stage.light.gain(np.array([-sign * 0.7, 0.0, -0.7]))
        brick = BRICK[rng.integers(len(BRICK))]
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

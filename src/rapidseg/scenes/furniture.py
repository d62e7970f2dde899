"""Street furniture on posts: lamps, traffic lights, signs, bollards; and bins, which are labeled as ignored."""

from __future__ import annotations

import numpy as np

from rapidseg.scenes.camera import NEAR_M
from rapidseg.scenes.canvas import Label, Sheet
from rapidseg.scenes.stage import Stage

_STEEL = np.array([132.0, 136.0, 138.0])
_CIRCLE = np.stack([np.cos(np.arange(24) * np.pi / 12), np.sin(np.arange(24) * np.pi / 12)], axis=-1)


class _Upright:
    """Draws an upright object that faces along the street, on a sheet of its own.

    Offsets are in meters, to the right of the foot and above the ground; the object faces the camera or its opposite.
    """

    def __init__(self, stage: Stage, base: np.ndarray, reach: tuple[float, float], heading: float) -> None:
        self.stage, self.base = stage, base
        self.right = np.array([np.cos(heading), 0.0, -np.sin(heading)])
        self.distance = float(np.hypot(base[0], base[2]))
        self.scale = stage.camera.pixels_per_meter(base[2])
        normal = np.array([-np.sin(heading), 0.0, -np.cos(heading)])
        self.sunlit = stage.sunlit(base)
        self.gain = stage.light.gain(normal, self.sunlit)
        self.round_gain = stage.light.gain(np.array([0.0, 0.2, -0.6]), self.sunlit * 0.8)
        aside, height = reach
        corners = np.array([[-aside, 0.0], [aside, 0.0], [aside, height], [-aside, height]])
        seen = base[2] - aside > NEAR_M
        self.sheet = Sheet.over(stage.canvas, stage.camera.project(self.points(corners))) if seen else None

    def points(self, offsets: np.ndarray) -> np.ndarray:
        """Returns points (N, 3) of offsets (N, 2)."""
        points: np.ndarray = self.base + offsets[:, :1] * self.right + offsets[:, 1:] * np.array([0.0, 1.0, 0.0])
        return points

    def polygon(self, offsets: np.ndarray, color: np.ndarray, label: Label | None) -> None:
        if self.sheet is not None:
            self.sheet.polygon(self.stage.camera.project(self.points(offsets)), color, label)

    def rectangle(
        self, x: float, y: float, width: float, height: float, color: np.ndarray, label: Label | None
    ) -> None:
        """Draws a rectangle around (x, y)."""
        half = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * np.array([width, height]) / 2
        self.polygon(half + np.array([x, y]), color, label)

    def post(self, x: float, height: float, radius: float, color: np.ndarray) -> None:
        """Draws a round post, darker at its sides."""
        light_side = 0.3 * radius * np.sign(self.stage.light.sun[0])
        for size, tone in ((1.0, 0.72), (0.55, 1.0), (0.2, 1.15)):
            shift = light_side * (1 - size)
            label = Label.POLE if size == 1.0 else None
            self.rectangle(x + shift, height / 2, 2 * radius * size, height, color * self.round_gain * tone, label)

    def lay_down(self) -> None:
        if self.sheet is not None:
            self.stage.lay_down(self.sheet, self.distance)


def draw_lamp(stage: Stage, base: np.ndarray, heading: float, towards_road: int, seed: int) -> None:
    """Draws a street lamp; `towards_road` is 1 if the road is on its right."""
    rng = np.random.default_rng(seed)
    height, arm = rng.uniform(5.5, 9.0), rng.uniform(0.8, 2.2) * towards_road
    upright = _Upright(stage, base, (3.0, height + 0.6), heading)
    if upright.sheet is None:
        return
    color = _STEEL * rng.choice([0.45, 0.8, 1.0])
    upright.post(0.0, height, rng.uniform(0.05, 0.085), color)
    line = np.array([[0.0, height - 0.1], [arm * 0.3, height + 0.25], [arm, height + 0.4]])
    projected = stage.camera.project(upright.points(line))
    upright.sheet.line(projected, 0.07 * upright.scale, color * upright.round_gain, Label.POLE)
    head = np.array([232.0, 228.0, 206.0]) if stage.light.weather == "dusk" else color * upright.gain * 0.9
    upright.rectangle(arm + 0.25 * towards_road, height + 0.4, 0.7, 0.14, head, Label.POLE)
    upright.lay_down()


def draw_traffic_light(stage: Stage, base: np.ndarray, heading: float, towards_road: int, seed: int) -> None:
    """Draws a traffic light on a post, sometimes with a second one on an arm over the road."""
    rng = np.random.default_rng(seed)
    facing = rng.random() < 0.75
    over_road = rng.random() < 0.35
    height = 6.0 if over_road else 3.3
    arm = float(rng.uniform(2.5, 4.5)) * towards_road if over_road else 0.0
    upright = _Upright(stage, base, (abs(arm) + 0.8, height + 0.8), heading)
    if upright.sheet is None:
        return
    color = _STEEL * rng.choice([0.35, 0.9])
    upright.post(0.0, height, 0.075 if over_road else 0.055, color)
    if over_road:
        line = stage.camera.project(upright.points(np.array([[0.0, height - 0.15], [arm, height - 0.05]])))
        upright.sheet.line(line, 0.1 * upright.scale, color * upright.round_gain, Label.POLE)
    state = int(rng.choice(3, p=[0.45, 0.1, 0.45]))
    for x, y in [(0.0, 2.75), (arm, height - 0.45)][: 2 if over_road else 1]:
        board = np.array([26.0, 28.0, 28.0]) * upright.gain
        if rng.random() < 0.4 and facing:
            upright.rectangle(x, y, 0.52, 1.15, np.array([222.0, 222.0, 218.0]) * upright.gain, Label.TRAFFIC_LIGHT)
            upright.rectangle(x, y, 0.46, 1.09, board, Label.TRAFFIC_LIGHT)
        upright.rectangle(x, y, 0.34, 0.98, board * 1.3, Label.TRAFFIC_LIGHT)
        if not facing:
            continue
        lamps = np.array([[255.0, 60.0, 40.0], [255.0, 190.0, 40.0], [60.0, 240.0, 150.0]])
        for lamp in range(3):
            lit = lamp == state
            circle = _CIRCLE * 0.115 + np.array([x, y + 0.31 * (1 - lamp)])
            upright.polygon(circle, lamps[lamp] if lit else lamps[lamp] * 0.16 + 8, Label.TRAFFIC_LIGHT)
            if lit:
                upright.polygon(_CIRCLE * 0.06 + np.array([x, y + 0.31 * (1 - lamp)]), lamps[lamp] * 0.4 + 153, None)
    upright.lay_down()


def draw_sign(stage: Stage, base: np.ndarray, heading: float, seed: int) -> None:
    """Draws one or two traffic signs on a post."""
    rng = np.random.default_rng(seed)
    large = rng.random() < 0.12
    height = rng.uniform(2.6, 3.4) + (0.8 if large else 0.0)
    upright = _Upright(stage, base, (1.5, height + 1.0), heading)
    if upright.sheet is None:
        return
    upright.post(0.0, height, 0.038 if not large else 0.06, _STEEL)
    y = height - 0.1
    if rng.random() < 0.18:  # seen from behind
        upright.polygon(
            _CIRCLE * 0.32 + np.array([0.0, y]), np.array([150.0, 152.0, 152.0]) * upright.gain, Label.TRAFFIC_SIGN
        )
        upright.lay_down()
        return
    if large:
        _direction_board(upright, y, rng)
    else:
        for _ in range(1 if rng.random() < 0.7 else 2):
            _plate(upright, y, rng)
            y -= 0.75
    upright.lay_down()


_RED, _BLUE, _WHITE = np.array([196.0, 30.0, 34.0]), np.array([26.0, 78.0, 168.0]), np.array([232.0, 232.0, 228.0])
_YELLOW, _BLACK = np.array([236.0, 188.0, 40.0]), np.array([24.0, 24.0, 26.0])
_TRIANGLE = np.array([[-0.5, -0.29], [0.5, -0.29], [0.0, 0.58]])
_SQUARE = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]])


def _plate(upright: _Upright, y: float, rng: np.random.Generator) -> None:
    """Draws a sign around height `y`."""
    at, gain, label = np.array([0.0, y]), upright.gain, Label.TRAFFIC_SIGN
    kind = rng.choice(["limit", "no_entry", "warning", "yield", "mandatory", "parking", "stop", "priority", "crossing"])
    if kind == "limit":
        upright.polygon(_CIRCLE * 0.33 + at, _RED * gain, label)
        upright.polygon(_CIRCLE * 0.25 + at, _WHITE * gain, label)
        for x in (-0.08, 0.08):
            upright.rectangle(x, y, 0.09, 0.22, _BLACK * gain, None)
    elif kind == "no_entry":
        upright.polygon(_CIRCLE * 0.33 + at, _RED * gain, label)
        upright.rectangle(0.0, y, 0.44, 0.11, _WHITE * gain, None)
    elif kind in ("warning", "yield"):
        turn = -1.0 if kind == "yield" else 1.0
        upright.polygon(_TRIANGLE * np.array([0.85, 0.85 * turn]) + at, _RED * gain, label)
        upright.polygon(_TRIANGLE * np.array([0.58, 0.58 * turn]) + at, _WHITE * gain, label)
        if kind == "warning":
            upright.rectangle(0.0, y - 0.01, 0.06, 0.2, _BLACK * gain, None)
    elif kind == "mandatory":
        upright.polygon(_CIRCLE * 0.31 + at, _BLUE * gain, label)
        upright.rectangle(0.0, y, 0.07, 0.34, _WHITE * gain, None)
        upright.polygon(_TRIANGLE * 0.22 + at + np.array([0.0, 0.1]), _WHITE * gain, None)
    elif kind in ("parking", "crossing"):
        upright.polygon(_SQUARE * 0.62 + at, _WHITE * gain, label)
        upright.polygon(_SQUARE * 0.56 + at, _BLUE * gain, label)
        if kind == "crossing":
            upright.polygon(_TRIANGLE * 0.48 + at - np.array([0.0, 0.04]), _WHITE * gain, None)
            upright.rectangle(0.0, y - 0.03, 0.06, 0.22, _BLACK * gain, None)
        else:
            upright.rectangle(-0.07, y, 0.07, 0.36, _WHITE * gain, None)
            upright.rectangle(0.04, y + 0.09, 0.16, 0.16, _WHITE * gain, None)
    elif kind == "stop":
        octagon = np.stack(
            [np.cos(np.arange(8) * np.pi / 4 + np.pi / 8), np.sin(np.arange(8) * np.pi / 4 + np.pi / 8)], axis=-1
        )
        upright.polygon(octagon * 0.37 + at, _WHITE * gain, label)
        upright.polygon(octagon * 0.34 + at, _RED * gain, label)
        upright.rectangle(0.0, y, 0.46, 0.13, _WHITE * gain, None)
    else:
        diamond = np.array([[0.0, -1.0], [1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
        upright.polygon(diamond * 0.4 + at, _WHITE * gain, label)
        upright.polygon(diamond * 0.28 + at, _YELLOW * gain, None)


def _direction_board(upright: _Upright, y: float, rng: np.random.Generator) -> None:
    ground, ink = [(_YELLOW, _BLACK), (_BLUE, _WHITE), (_WHITE, _BLACK), (np.array([20.0, 104.0, 66.0]), _WHITE)][
        rng.integers(4)
    ]
    upright.rectangle(0.35, y, 1.9, 0.95, ink * upright.gain, Label.TRAFFIC_SIGN)
    upright.rectangle(0.35, y, 1.84, 0.89, ground * upright.gain, Label.TRAFFIC_SIGN)
    for row in (0.22, -0.02, -0.26):
        x = -0.4
        while x < 0.8:
            text_width = float(rng.uniform(0.06, 0.12))
            upright.rectangle(x, y + row, text_width * 0.7, 0.12, ink * upright.gain, None)
            x += text_width if rng.random() < 0.85 else 2.5 * text_width


def draw_bollard(stage: Stage, base: np.ndarray, heading: float, seed: int) -> None:
    """Draws a low post."""
    rng = np.random.default_rng(seed)
    upright = _Upright(stage, base, (0.3, 1.3), heading)
    upright.post(0.0, 0.95, 0.06, _STEEL * rng.choice([0.3, 0.5, 1.0]))
    if rng.random() < 0.5:
        upright.rectangle(0.0, 0.8, 0.12, 0.1, _WHITE * upright.gain, None)
    upright.lay_down()


def draw_bin(stage: Stage, base: np.ndarray, heading: float, seed: int) -> None:
    """Draws a litter bin or a cabinet; both are labeled as static, which is ignored."""
    rng = np.random.default_rng(seed)
    upright = _Upright(stage, base, (0.9, 1.6), heading)
    colors = np.array([[52, 86, 60], [70, 72, 74], [120, 122, 122], [150, 90, 40]], np.float64)
    color = colors[rng.integers(len(colors))]
    width, height = rng.uniform(0.4, 1.1), rng.uniform(0.8, 1.3)
    upright.rectangle(0.0, height / 2, width, height, color * upright.gain, Label.STATIC)
    upright.rectangle(width * 0.44, height / 2, width * 0.12, height, color * upright.gain * 0.7, None)
    upright.rectangle(0.0, height - 0.03, width * 1.06, 0.08, color * upright.gain * 1.15, Label.STATIC)
    upright.rectangle(0.0, height * 0.8, width * 0.5, 0.1, color * upright.gain * 0.35, None)
    upright.lay_down()

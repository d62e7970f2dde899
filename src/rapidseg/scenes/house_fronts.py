"""The fronts of houses: floors of windows, doors, shops and awnings."""

from __future__ import annotations

import numpy as np

from rapidseg.scenes.canvas import Label
from rapidseg.scenes.facades import FrontPainter

_SIGNS = np.array(
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


def _spread(length: float, pitch: float) -> tuple[np.ndarray, float]:
    """Returns the middles of as many openings as fit, and their spacing."""
    count = max(1, int(length / pitch))
    step = length / count
    return (np.arange(count) + 0.5) * step, step


def paint_house_front(painter: FrontPainter, albedo: np.ndarray, rng: np.random.Generator, *, shop: bool) -> None:
    """Paints floors of windows above a shop or above a ground floor with a door."""
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
    painter.rectangles(middle - 0.55, middle + 0.55, 0.0, 2.4, _SIGNS[rng.integers(len(_SIGNS))] * 0.55 + 20)


def _shop(painter: FrontPainter, height: float, albedo: np.ndarray, rng: np.random.Generator) -> None:
    length = painter.wall.length
    units = max(1, round(length / rng.uniform(5, 8)))
    for unit in range(units):
        a0, a1 = unit * length / units + 0.25, (unit + 1) * length / units - 0.25
        board = _SIGNS[rng.integers(len(_SIGNS))] * rng.uniform(0.7, 1.0)
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
        if painter.distance < 25:  # the display behind the glass
            count = int(rng.integers(3, 9))
            position = rng.uniform(a0 + 0.3, a1 - 0.5, count)
            base = rng.uniform(0.6, 1.2, count)
            for item in range(count):
                goods = rng.uniform(50, 170) + rng.normal(0, 22, 3)
                painter.rectangles(
                    position[item], position[item] + 0.35, base[item], base[item] + rng.uniform(0.2, 0.7), goods
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
    color = _SIGNS[rng.integers(len(_SIGNS))]
    gain = stage.light.gain(np.array([0.0, 0.8, 0.0]) + wall.outward * 0.6, painter.sunlit)
    painter.rectangles(a0, a1, y - 1.0, y - 0.1, np.array([60.0, 58.0, 56.0]))
    strips = np.linspace(a0, a1, 2 * max(2, int((a1 - a0) / 0.5)) + 1)
    whole = wall.points(np.array([a0, a1, a1, a0]), np.array([y, y, y - 0.5, y - 0.5]), np.array([0, 0, out, out]))
    stage.canvas.polygon(whole, painter.color(color), Label.BUILDING)
    for first, tint in ((0, color), (1, color * 0.4 + 140)):
        left, right = strips[:-1][first::2], strips[1:][first::2]
        across, down = np.stack([left, right, right, left], axis=-1), np.array([y, y, y - 0.5, y - 0.5])
        cloth = wall.points(across, down, np.array([0, 0, out, out]))
        stage.canvas.polygons(cloth, stage.light.through_haze(tint * gain, painter.distance))
        painter.rectangles(left, right, y - 0.72, y - 0.5, tint * 0.9, out)


def paint_office_front(painter: FrontPainter, albedo: np.ndarray, rng: np.random.Generator) -> None:
    """Paints rows or bands of windows above shops."""
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


def paint_end(painter: FrontPainter, rng: np.random.Generator) -> None:
    """Paints the few windows at the end of a house."""
    wall = painter.wall
    middles, _ = _spread(wall.length, rng.uniform(3.0, 5.0))
    bases = np.arange(1.2, wall.height - 2.2, 3.1)
    a0, y0 = np.tile(middles - 0.5, len(bases)), np.repeat(bases, len(middles))
    reveal = np.array([96.0, 90.0, 82.0])
    painter.windows(a0, a0 + 1.0, y0, y0 + 1.5, rng, reveal=reveal, frame=_FRAME[0])

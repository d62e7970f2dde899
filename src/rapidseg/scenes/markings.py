"""White and colored paint on the road: lane lines, crossings, arrows, cycle lanes, tram rails."""

from __future__ import annotations

import numpy as np

from rapidseg.scenes.ground_view import GroundView, band
from rapidseg.scenes.noise import cloud_tile, sample
from rapidseg.scenes.street import Street


def _dashes(view: GroundView, length: float, gap: float, phase: float) -> np.ndarray:
    period = np.float32(length + gap)
    away = view.s - np.float32(phase)
    away = np.abs(away - period * np.rint(away / period))
    share = np.clip((np.float32(length / 2) - away) / view.along + np.float32(0.5), 0, 1)
    far = np.float32(length / (length + gap))
    blend = np.clip(view.along / period * 2, 0, 1)
    mixed: np.ndarray = share + (far - share) * blend
    return mixed


def paint_markings(view: GroundView, street: Street, color: np.ndarray, rng: np.random.Generator) -> None:
    """Paints markings onto `color` (rows, W, 3) float32, in place."""
    white = (np.array([214.0, 213.0, 208.0]) * rng.uniform(0.88, 1.05)).astype(np.float32)
    alpha = np.zeros(view.t.shape, np.float32)
    open_road = np.ones_like(view.s)
    for middle, half_width in street.crossings:  # lines stop at crossing streets
        open_road *= 1 - band(view.s, middle, half_width + 4.5, view.along)

    dash, gap, phase = rng.choice([3.0, 4.0, 6.0]), rng.choice([3.0, 6.0, 8.0]), rng.uniform(0, 10)
    middle_style = rng.choice(["dashed", "solid", "double", "none"], p=[0.55, 0.15, 0.12, 0.18])
    if street.tram_t is None and middle_style != "none":
        if middle_style == "double":
            line = band(view.t, -0.12, 0.06, view.across) + band(view.t, 0.12, 0.06, view.across)
        else:
            line = band(view.t, 0.0, 0.07, view.across)
        alpha += line * open_road * (_dashes(view, dash, gap, phase) if middle_style == "dashed" else 1)
    inner = 1.6 if street.tram_t is not None else 0.0
    for sign in (-1, 1):
        for lane in range(1, street.lanes):
            line = band(view.t, sign * (inner + lane * street.lane_width), 0.06, view.across)
            alpha += line * _dashes(view, dash, gap, phase) * open_road
        edge = sign * (inner + street.lanes * street.lane_width)
        if rng.random() < 0.5:
            line = band(view.t, edge, 0.06, view.across) * open_road
            parked = street.side(sign).parked
            alpha += line * (_dashes(view, 1.0, 1.0, 0) if parked and rng.random() < 0.5 else 1)
    _crossing_marks(view, street, alpha, rng)
    if rng.random() < 0.25:
        _arrow(view, street, alpha, rng)

    if rng.random() < 0.12:  # a cycle lane in red asphalt along the curb
        cycle_lane = band(view.t, street.drive_side * (street.half_width - 0.95), 0.75, view.across)
        red = np.array([132.0, 84.0, 74.0], np.float32)
        color += (red - color) * (cycle_lane * np.float32(0.8))[..., None]
    if street.tram_t is not None:
        for rail in (-0.72, 0.72):
            groove = band(view.t, street.tram_t + rail, 0.06, view.across)
            steel = np.array([92.0, 90.0, 88.0], np.float32)
            color += (steel - color) * (groove * np.float32(0.85))[..., None]
            dark = band(view.t, street.tram_t + rail * 0.93, 0.03, view.across)
            color *= 1 - np.float32(0.45) * dark[..., None]

    wear = np.float32(rng.uniform(0.55, 0.95))
    scuffs = sample(cloud_tile(0.8, 2), view.t * np.float32(24), view.s * np.float32(12))
    alpha = np.clip(alpha, 0, 1) * np.clip(wear + np.float32(0.16) * scuffs, 0.15, 1)
    painted = alpha > 0
    color[painted] += (white - color[painted]) * alpha[painted][:, None]


def _crossing_marks(view: GroundView, street: Street, alpha: np.ndarray, rng: np.random.Generator) -> None:
    """Adds stop lines and zebra crossings before crossing streets."""
    for middle, half_width in street.crossings:
        kind = rng.choice(["zebra", "stop", "none"], p=[0.4, 0.35, 0.25])
        for towards in (-1, 1):
            s = middle + towards * (half_width + 2.4)
            if kind == "zebra":
                stripes = np.abs(view.t - np.rint(view.t)) * 1
                stripe = np.clip((np.float32(0.25) - stripes) / view.across + np.float32(0.5), 0, 1)
                across = band(view.t, 0.0, street.half_width - 0.3, view.across)
                alpha += stripe * across * band(view.s, s, 1.5, view.along)
            elif kind == "stop":
                lane_middle = -towards * street.drive_side * (street.half_width / 2)
                across = band(view.t, lane_middle, street.half_width / 2 - 0.3, view.across)
                alpha += across * band(view.s, s, 0.2, view.along)


def _arrow(view: GroundView, street: Street, alpha: np.ndarray, rng: np.random.Generator) -> None:
    """Adds an arrow in the camera's lane, pointing ahead."""
    s, t = rng.uniform(9, 20), street.camera_t
    alpha += band(view.s, s, 1.6, view.along) * band(view.t, t, 0.08, view.across)
    head = np.clip((np.float32(s + 3.0) - view.s) / np.float32(1.4), 0, 1)
    within = band(view.s, s + 2.3, 0.7, view.along)
    narrow = np.clip((np.float32(0.36) * head - np.abs(view.t - np.float32(t))) / view.across + np.float32(0.5), 0, 1)
    alpha += within * narrow * (head > 0)

"""Fences and walls along the street."""

from __future__ import annotations

import numpy as np

from rapidseg.scenes.camera import NEAR_M
from rapidseg.scenes.canvas import Label, Sheet
from rapidseg.scenes.facades import FrontPainter, Wall
from rapidseg.scenes.stage import Stage

_WALLS = np.array([[150, 96, 76], [162, 156, 146], [186, 174, 150], [140, 112, 94], [176, 172, 166]], np.float64)
_FENCES = np.array([[44, 46, 48], [60, 74, 62], [148, 150, 150], [126, 98, 72], [206, 204, 198]], np.float64)


def draw_wall(stage: Stage, start: np.ndarray, end: np.ndarray, height: float, seed: int) -> None:
    """Draws a piece of a free-standing wall between two ground points (3,); the pieces of a wall share a seed."""
    rng = np.random.default_rng(seed)
    albedo = _WALLS[rng.integers(len(_WALLS))] * rng.uniform(0.8, 1.0)
    texture, strength, texels = ("brick", 0.14, 200.0) if rng.random() < 0.5 else ("plaster", 0.06, 40.0)
    wall = Wall.between(start, end, height)
    if not wall.is_seen:
        wall = Wall.between(end, start, height)
    painter = FrontPainter(stage, wall, stage.sunlit((start + end) / 2))
    quad = wall.quads(0, wall.length, 0, height)[0]
    stage.canvas.polygon(quad, painter.color(albedo), Label.WALL)
    painter.texture(quad, texture, strength, texels)
    painter.rectangles(0.0, wall.length, 0.0, 0.25, albedo * 0.8)
    top = wall.points(
        np.array([0, wall.length, wall.length, 0]), np.full(4, height), np.array([0.05, 0.05, -0.25, -0.25])
    )
    light = stage.light.gain(np.array([0.0, 1.0, 0.0]), painter.sunlit)
    if height < stage.camera.height_m:
        stage.canvas.polygon(top, stage.light.through_haze(albedo * light * 0.95, painter.distance), Label.WALL)
    painter.rectangles(0.0, wall.length, height - 0.1, height, np.minimum(albedo * 1.08, 235), 0.03)


def draw_fence(stage: Stage, start: np.ndarray, end: np.ndarray, height: float, seed: int) -> None:
    """Draws a piece of a fence between two ground points (3,); its gaps are labeled fence as well."""
    rng = np.random.default_rng(seed)
    kind = rng.choice(["bars", "planks", "rails", "mesh"], p=[0.45, 0.2, 0.2, 0.15])
    albedo = _FENCES[rng.integers(len(_FENCES))] * rng.uniform(0.85, 1.1)
    if kind == "planks":
        albedo = np.array([138.0, 108.0, 80.0]) * rng.uniform(0.7, 1.1)
    wall = Wall.between(start, end, height)
    if not wall.is_seen:
        wall = Wall.between(end, start, height)
    quad = wall.quads(0, wall.length, 0, height)[0]
    if quad[:, 2].min() < NEAR_M:
        return
    sheet = Sheet.over(stage.canvas, stage.camera.project(quad))
    if sheet is None:
        return
    gain = stage.light.gain(wall.outward, stage.sunlit((start + end) / 2) * 0.7)
    color = albedo * gain

    def bars(a0: np.ndarray, a1: np.ndarray, y0: np.ndarray | float, y1: np.ndarray | float, tone: float) -> None:
        for corners in stage.camera.project(wall.quads(a0, a1, np.asarray(y0, float), np.asarray(y1, float))):
            sheet.polygon(corners, color * tone, None)

    whole = np.array([0.0]), np.array([wall.length])
    sheet.polygon(stage.camera.project(quad), None, Label.FENCE)
    if kind == "planks":
        edges = np.linspace(0, wall.length, max(2, int(wall.length / 0.14)) + 1)
        for tone, chosen in ((0.82, slice(0, None, 2)), (1.0, slice(1, None, 2))):
            bars(edges[:-1][chosen], edges[1:][chosen] - 0.01, 0.0, height, tone)
    elif kind == "rails":
        for y in (0.35, 0.7, 1.0):
            bars(*whole, y * height - 0.06, y * height, 1.0)
    else:
        pitch, wide = (0.13, 0.022) if kind == "bars" else (0.07, 0.006)
        at = np.arange(0.05, wall.length, pitch)
        bars(at, at + wide, 0.08, height - 0.02, 0.95)
        heights = (0.12, height - 0.1) if kind == "bars" else np.arange(0.1, height, 0.07)
        for y in heights:
            bars(*whole, y, y + (0.04 if kind == "bars" else 0.006), 1.05)
    posts = np.array([0.0, wall.length - 0.06])
    bars(posts, posts + 0.06, 0.0, height + 0.0, 0.85)
    stage.lay_down(sheet, float(np.linalg.norm(((start + end) / 2)[[0, 2]])))

"""The fronts of houses: walls with their texture, windows, shops, doors and balconies.

Coordinates on a front are in meters: `a` along it, `y` up from the ground, `out` towards the street.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rapidseg.scenes.canvas import Label
from rapidseg.scenes.stage import Stage
from rapidseg.scenes.texturing import lay_texture

Edge = np.ndarray | float


@dataclass(frozen=True)
class Wall:
    """A vertical rectangle on the ground.

    Attributes:
        start: (3,) lower left corner seen from the street, in the camera's frame.
        along: (3,) unit vector from there to the lower right corner.
        outward: (3,) unit normal towards the street.
        length, height: meters.
    """

    start: np.ndarray
    along: np.ndarray
    outward: np.ndarray
    length: float
    height: float

    @classmethod
    def between(cls, left: np.ndarray, right: np.ndarray, height: float) -> Wall:
        """Returns the wall above two ground points (3,); seen from its front, `left` is on the left."""
        along = right - left
        length = float(np.linalg.norm(along))
        along = along / length
        return cls(left, along, np.array([along[2], 0.0, -along[0]]), length, height)

    @property
    def is_seen(self) -> bool:
        return float(self.outward @ -self.start) > 0

    @property
    def distance(self) -> float:
        return float(np.linalg.norm((self.start + self.along * self.length / 2)[[0, 2]]))

    def points(self, a: np.ndarray, y: np.ndarray | float, out: np.ndarray | float = 0.0) -> np.ndarray:
        """Returns points (..., 3) of coordinates `a` (...), with `y` and `out` of that shape or numbers."""
        points: np.ndarray = self.start + a[..., None] * self.along + np.asarray(out)[..., None] * self.outward
        points[..., 1] += y
        return points

    def quads(self, a0: Edge, a1: Edge, y0: Edge, y1: Edge, out: float = 0.0) -> np.ndarray:
        """Returns rectangles (N, 4, 3) from their edges, each (N,) or a number."""
        count = next((np.size(edge) for edge in (a0, a1, y0, y1) if np.ndim(edge)), 1)
        a, y = np.empty((count, 4)), np.empty((count, 4))
        a[:, 0] = a[:, 3] = a0
        a[:, 1] = a[:, 2] = a1
        y[:, 0] = y[:, 1] = y0
        y[:, 2] = y[:, 3] = y1
        return self.points(a, y, out)


class FrontPainter:
    """Paints on a wall, in its light and haze."""

    def __init__(self, stage: Stage, wall: Wall, sunlit: float) -> None:
        self.stage = stage
        self.wall = wall
        self.sunlit = sunlit
        self.distance = max(wall.distance, 1.0)
        self.gain = stage.light.gain(wall.outward, sunlit)
        # How the camera sees into openings: its position along the wall, and its distance.
        self.eye_a = float(-wall.start @ wall.along)
        self.eye_out = max(float(-wall.start @ wall.outward), 0.1)

    def color(self, albedo: np.ndarray) -> np.ndarray:
        return self.stage.light.through_haze(albedo * self.gain, self.distance)

    def rectangles(self, a0: Edge, a1: Edge, y0: Edge, y1: Edge, albedo: np.ndarray, out: float = 0.0) -> None:
        self.stage.canvas.polygons(self.wall.quads(a0, a1, y0, y1, out), self.color(albedo))

    def ledge(self, a0: float, a1: float, y0: float, y1: float, out: float, albedo: np.ndarray) -> None:
        """Paints a projecting board: its shadow, its lower or upper side, its end and its front."""
        wall, canvas, light = self.wall, self.stage.canvas, self.stage.light
        shadow = wall.quads(a0, a1, y0 - out * 0.8, y0)
        canvas.polygons(shadow, self.color(albedo * 0.62))
        corners = np.array([[a0, 0], [a1, 0], [a1, out], [a0, out]])
        above = y0 > self.stage.camera.height_m
        level = wall.points(corners[:, 0], np.full(4, y0 if above else y1), corners[:, 1])
        gain = light.gain(np.array([0.0, -1.0 if above else 1.0, 0.0]), self.sunlit) * (0.6 if above else 1.0)
        canvas.polygon(level, light.through_haze(albedo * gain, self.distance))
        end = a0 if self.eye_a < a0 else a1
        side = wall.points(np.full(4, end), np.array([y0, y0, y1, y1]), np.array([0, out, out, 0]))
        normal = wall.along * (-1 if end == a0 else 1)
        canvas.polygon(side, light.through_haze(albedo * light.gain(normal, self.sunlit), self.distance))
        self.rectangles(a0, a1, y0, y1, albedo, out)

    def surface(self, albedo: np.ndarray, texture: str, strength: float, texels_per_m: float) -> None:
        """Fills the whole wall and applies a repeating texture."""
        quad = self.wall.quads(0, self.wall.length, 0, self.wall.height)[0]
        self.stage.canvas.polygon(quad, self.color(albedo), Label.BUILDING)
        self.texture(quad, texture, strength, texels_per_m)
        if self.distance < 70:  # weathering
            self.texture(quad, "plaster", 0.06, 12.0)

    def texture(self, quad: np.ndarray, name: str, strength: float, texels_per_m: float) -> None:
        """Applies a repeating texture to a rectangle (4, 3) of the wall."""
        strength *= 1 - self.stage.light.haze(self.distance)
        lay_texture(self.stage.canvas, quad, self.wall.start, self.wall.along, name, strength, texels_per_m)

    def windows(
        self,
        a0: np.ndarray,
        a1: np.ndarray,
        y0: np.ndarray,
        y1: np.ndarray,
        rng: np.random.Generator,
        *,
        reveal: np.ndarray,
        frame: np.ndarray,
        recess_m: float = 0.14,
        panes: int = 2,
    ) -> None:
        """Paints windows (N,): openings, the visible part of the glass, frames and reflections."""
        if not len(a0):
            return
        light = self.stage.light
        detail = self.stage.camera.pixels_per_meter(self.distance)
        self.rectangles(a0, a1, y0, y1, reveal)
        # Seen at an angle, the far reveal of an opening hides a part of the glass.
        depth = self.eye_out / (self.eye_out + recess_m)
        left = np.where(self.eye_a > a0, a0 + (self.eye_a - a0) * (1 - depth), a0)
        right = np.where(self.eye_a < a1, a1 - (a1 - self.eye_a) * (1 - depth), a1)
        top = np.where(y1 > self.stage.camera.height_m, y1 - (y1 - self.stage.camera.height_m) * (1 - depth), y1)
        open_ = right - left > 0.04
        if not open_.any():
            return
        left, right, low, top = left[open_], right[open_], y0[open_], top[open_]
        border = np.minimum(0.07, (right - left) * 0.2)
        if detail > 10:
            self.rectangles(left, right, low, top, frame)
            left, right, low, top = left + border, right - border, low + 0.07, top - 0.07
        mood = rng.random(len(left))
        sky = light.reflected(np.array([[0.0, 0.35, 0.0]]))[0]
        dark = np.array([34.0, 40.0, 48.0]) * light.sky_gain
        lamp = np.array([236.0, 190.0, 118.0]) if light.weather == "dusk" else np.array([150.0, 140.0, 120.0])
        curtain = np.array([176.0, 172.0, 164.0]) * self.gain * 0.75
        lit_share = 0.25 if light.weather == "dusk" else 0.05
        kinds = [
            (mood < 0.35, dark * 0.8 + sky * 0.14),
            ((mood >= 0.35) & (mood < 0.65), dark * 0.7 + sky * 0.30),
            ((mood >= 0.65) & (mood < 0.85), dark * 0.4 + sky * 0.50),
            ((mood >= 0.85) & (mood < 1 - lit_share), curtain),
            (mood >= 1 - lit_share, lamp),
        ]
        for chosen, color in kinds:
            if not chosen.any():
                continue
            edges = (left[chosen], right[chosen], low[chosen], top[chosen])
            canvas = self.stage.canvas
            canvas.polygons(self.wall.quads(*edges), light.through_haze(color, self.distance))
            if detail > 16:  # the lower part reflects the houses opposite, which are darker than the sky
                half = edges[2] + (edges[3] - edges[2]) * rng.uniform(0.3, 0.7)
                darker = light.through_haze(color * 0.78, self.distance)
                canvas.polygons(self.wall.quads(edges[0], edges[1], edges[2], half), darker)
        if detail > 18 and panes > 1:  # curtains at the sides
            drawn = mood < 0.5
            width = (right - left)[drawn] * rng.uniform(0.12, 0.3, int(drawn.sum()))
            cloth = np.array([150.0, 146.0, 138.0]) * rng.uniform(0.6, 1.0)
            for edge in (left[drawn], right[drawn] - width):
                self.rectangles(edge, edge + width, low[drawn], top[drawn], cloth)
        if detail > 12 and panes > 1:
            for pane in range(1, panes):
                bar = left + (right - left) * pane / panes
                self.rectangles(bar - 0.03, bar + 0.03, low, top, frame)
            if detail > 20:
                bar = low + (top - low) * 0.68
                self.rectangles(left, right, bar - 0.025, bar + 0.025, frame)

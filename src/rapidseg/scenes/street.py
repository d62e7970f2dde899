"""The street: its curbs, lanes, crossings and the ground beside it.

Street coordinates are `s`, meters ahead along the street, and `t`, meters to the right of its middle. The street has a
constant curvature, and the camera is at an angle to it; `to_camera` and `to_street` convert between (s, t) and the
camera's frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

FAR_M = 260.0  # the scene ends here
CURB_M = 0.12  # height of the sidewalk above the road


@dataclass(frozen=True)
class Side:
    """One side of the road. Widths are in meters, from the curb outwards.

    Attributes:
        style: `town` (closed row of houses), `suburb` (houses in gardens) or `park`.
        verge: width of the grass between curb and sidewalk, or 0.
        sidewalk: width of the sidewalk.
        yard: width of the ground between sidewalk and houses.
        yard_is_grass: whether the yard is grass; otherwise it is paved.
        parked: whether cars are parked along the curb.
        trees: whether trees stand along the curb.
    """

    style: str
    verge: float
    sidewalk: float
    yard: float
    yard_is_grass: bool
    parked: bool
    trees: bool

    @property
    def frontage(self) -> float:
        """Meters from the curb to the front of the houses."""
        return self.verge + self.sidewalk + self.yard


@dataclass(frozen=True)
class Street:
    """A street with the streets that cross it.

    Attributes:
        half_width: meters from the middle to the curb.
        lane_width: meters.
        lanes: lanes in each direction.
        drive_side: 1 for traffic on the right, -1 for traffic on the left.
        camera_t: `t` of the camera.
        yaw: angle between street and camera axis in radians, positive to the right.
        curvature: 1 / radius in 1/meters, positive to the right.
        crossings: (s of the middle, half width) of each crossing street.
        left, right: the sides of the road.
        tram_t: `t` of the middle of a tram track, or None.
    """

    half_width: float
    lane_width: float
    lanes: int
    drive_side: int
    camera_t: float
    yaw: float
    curvature: float
    crossings: tuple[tuple[float, float], ...]
    left: Side
    right: Side
    tram_t: float | None

    def side(self, sign: int) -> Side:
        return self.right if sign > 0 else self.left

    def to_camera(self, s: np.ndarray | float, t: np.ndarray | float, height: np.ndarray | float = 0.0) -> np.ndarray:
        """Converts street coordinates to points (..., 3) in the camera's frame."""
        s, t, height = np.broadcast_arrays(np.asarray(s, np.float64), t, height)
        x = t - self.camera_t + self.curvature * s * s / 2
        cos, sin = np.cos(self.yaw), np.sin(self.yaw)
        return np.stack([x * cos + s * sin, height, s * cos - x * sin], axis=-1)

    def ground_point(self, s: np.ndarray | float, t: np.ndarray | float) -> np.ndarray:
        """Returns points (..., 3) on the ground: on the road, or on the higher sidewalk beside it."""
        points = self.to_camera(s, t)
        points[..., 1] = np.where(self.depth_behind_curb(np.asarray(s), np.asarray(t)) > 0, CURB_M, 0.0)
        return points

    def to_street(self, x: np.ndarray, z: np.ndarray, scale: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
        """Converts ground points to (s, t); `scale` moves them along their line of sight first."""
        cos, sin = np.float32(np.cos(self.yaw) * scale), np.float32(np.sin(self.yaw) * scale)
        s = z * cos + x * sin
        t = x * cos - z * sin + np.float32(self.camera_t)
        if self.curvature:
            t -= np.float32(self.curvature / 2) * s * s
        return s, t

    def heading(self, s: float) -> float:
        """Returns the street's direction at `s`, radians to the right of the camera's axis."""
        return float(self.yaw + np.arctan(self.curvature * s))

    def depth_behind_curb(self, s: np.ndarray, t: np.ndarray) -> np.ndarray:
        """Returns the distance in meters behind the nearest curb; negative on a road. Corners are rounded."""
        depth: np.ndarray = np.abs(t) - np.float32(self.half_width)
        for middle, half_width in self.crossings:
            across = np.abs(s - np.float32(middle)) - np.float32(half_width)
            radius = np.float32(3.0)
            corner = radius - np.hypot(np.maximum(radius - depth, 0), np.maximum(radius - across, 0))
            depth = np.where((depth < radius) & (across < radius), corner, np.minimum(depth, across))
        return depth

    def clear_of_crossings(self, s: float, margin: float = 0.0) -> bool:
        return all(abs(s - middle) > half_width + margin for middle, half_width in self.crossings)

    def blocks(self, sign: int) -> list[tuple[float, float]]:
        """Returns start and end in `s` of the rows of houses on one side, between crossing streets."""
        margin = min(self.side(sign).sidewalk, 3.5)
        ends = [-30.0]
        for middle, half_width in sorted(self.crossings):
            ends += [middle - half_width - margin, middle + half_width + margin]
        ends.append(FAR_M)
        return [(start, end) for start, end in zip(ends[::2], ends[1::2], strict=True) if end - start > 6]


def _draw_side(rng: np.random.Generator, style: str) -> Side:
    verge = float(rng.uniform(1.0, 2.5)) if style != "town" and rng.random() < 0.5 else 0.0
    if style == "town":
        yard, grass = 0.0, False
    elif style == "suburb":
        yard, grass = float(rng.uniform(2.5, 7)), bool(rng.random() < 0.75)
    else:
        yard, grass = float(rng.uniform(14, 40)), True
    return Side(
        style=style,
        verge=verge,
        sidewalk=float(rng.uniform(2.2, 5.0) if style == "town" else rng.uniform(1.8, 3.2)),
        yard=yard,
        yard_is_grass=grass,
        parked=bool(rng.random() < 0.6),
        trees=bool(rng.random() < (0.4 if style == "town" else 0.7)),
    )


def draw_street(rng: np.random.Generator) -> Street:
    """Returns a random street."""
    styles = [str(style) for style in rng.choice(["town", "suburb", "park"], 2, p=[0.6, 0.25, 0.15])]
    left, right = (_draw_side(rng, style) for style in styles)
    lanes = int(rng.choice([1, 2], p=[0.7, 0.3]))
    lane_width = float(rng.uniform(3.0, 3.5))
    parking = 2.1 if left.parked or right.parked else 0.3
    tram = rng.random() < 0.12
    half_width = lanes * lane_width + parking + (1.6 if tram else 0.0)
    drive_side = 1 if rng.random() < 0.7 else -1
    lane = int(rng.integers(0, lanes))
    crossings = []
    s = float(rng.uniform(18, 70))
    while s < 150 and rng.random() < 0.75:
        crossings.append((s, float(rng.uniform(3.0, 6.0))))
        s += float(rng.uniform(45, 110))
    return Street(
        half_width=half_width,
        lane_width=lane_width,
        lanes=lanes,
        drive_side=drive_side,
        camera_t=drive_side * ((lane + 0.5) * lane_width + (1.6 if tram else 0.0)) + float(rng.normal(0, 0.2)),
        yaw=float(np.deg2rad(rng.normal(0, 3.0))),
        curvature=float(rng.normal(0, 1 / 700)) if rng.random() < 0.6 else 0.0,
        crossings=tuple(crossings),
        left=left,
        right=right,
        tram_t=-drive_side * 1.7 if tram else None,
    )

"""The bodies of cars and vans: cross-sections lofted along the car."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np

from rapidseg.scenes.meshes import Material, Mesh, Part, end_panels


@dataclass(frozen=True)
class CarShape:
    """A kind of car.

    Attributes:
        length, width: meters.
        profile_at, profile_height: the outline seen from the side: shares of the length from the back, and meters.
        belt: height of the lower edge of the side windows.
        glass: shares of the length between which the side windows lie.
        pillars: positions of the pillars between them, as shares of the length.
        rear_screen, front_screen: shares of the length between which the sloping roof is a window.
        tumble: how much narrower the roof is than the body, as a share.
        bottom: height of the sill.
    """

    length: float
    width: float
    profile_at: tuple[float, ...]
    profile_height: tuple[float, ...]
    belt: float
    glass: tuple[float, float]
    pillars: tuple[float, ...]
    rear_screen: tuple[float, float]
    front_screen: tuple[float, float]
    tumble: float = 0.2
    bottom: float = 0.24

    @property
    def height(self) -> float:
        return max(self.profile_height)


SEDAN = CarShape(
    length=4.6,
    width=1.80,
    profile_at=(0, 0.015, 0.13, 0.30, 0.36, 0.52, 0.60, 0.75, 0.90, 0.985, 1),
    profile_height=(0.86, 0.98, 1.04, 1.40, 1.44, 1.46, 1.42, 1.0, 0.90, 0.80, 0.72),
    belt=0.93,
    glass=(0.2, 0.72),
    pillars=(0.3, 0.48),
    rear_screen=(0.145, 0.295),
    front_screen=(0.605, 0.745),
)
HATCHBACK = CarShape(
    length=3.95,
    width=1.74,
    profile_at=(0, 0.012, 0.03, 0.13, 0.22, 0.45, 0.55, 0.73, 0.88, 0.98, 1),
    profile_height=(0.84, 0.98, 1.04, 1.38, 1.47, 1.52, 1.49, 1.06, 0.94, 0.82, 0.74),
    belt=0.95,
    glass=(0.07, 0.7),
    pillars=(0.2, 0.43),
    rear_screen=(0.032, 0.128),
    front_screen=(0.56, 0.725),
    tumble=0.18,
)
ESTATE = CarShape(
    length=4.6,
    width=1.82,
    profile_at=(0, 0.01, 0.025, 0.09, 0.18, 0.45, 0.58, 0.74, 0.89, 0.985, 1),
    profile_height=(0.84, 0.98, 1.04, 1.40, 1.48, 1.50, 1.46, 1.03, 0.92, 0.82, 0.73),
    belt=0.94,
    glass=(0.06, 0.71),
    pillars=(0.22, 0.44),
    rear_screen=(0.027, 0.088),
    front_screen=(0.59, 0.735),
    tumble=0.18,
)
SUV = CarShape(
    length=4.5,
    width=1.88,
    profile_at=(0, 0.01, 0.025, 0.09, 0.18, 0.46, 0.58, 0.73, 0.89, 0.985, 1),
    profile_height=(0.95, 1.10, 1.15, 1.58, 1.66, 1.68, 1.63, 1.20, 1.09, 0.98, 0.88),
    belt=1.08,
    glass=(0.06, 0.7),
    pillars=(0.22, 0.44),
    rear_screen=(0.027, 0.088),
    front_screen=(0.59, 0.725),
    tumble=0.15,
    bottom=0.3,
)
VAN = CarShape(
    length=5.0,
    width=1.95,
    profile_at=(0, 0.006, 0.012, 0.05, 0.40, 0.72, 0.78, 0.90, 0.955, 0.99, 1),
    profile_height=(1.0, 1.60, 1.86, 1.96, 2.0, 1.96, 1.88, 1.20, 1.10, 0.98, 0.86),
    belt=1.12,
    glass=(0.58, 0.87),
    pillars=(0.585,),
    rear_screen=(0.0, 0.0),
    front_screen=(0.785, 0.895),
    tumble=0.12,
    bottom=0.3,
)
CAR_SHAPES = (SEDAN, HATCHBACK, ESTATE, SUV, VAN)


@cache
def car_part(shape: CarShape) -> Part:
    """Returns a car's body without wheels and mirrors, and its details: lamps, seams, grille, plates."""
    stations = sorted(
        {
            *np.linspace(0, 1, 13).round(4), *shape.profile_at, *shape.glass, *shape.rear_screen,
            *shape.front_screen, 0.005, 0.04, 0.96, 0.993,
            *(at + side * 0.012 for at in shape.pillars for side in (-1, 1)),
        }
    )  # fmt: skip
    along = np.array(stations)
    top = np.interp(along, shape.profile_at, shape.profile_height)
    belt = np.minimum(shape.belt + 0.03 * (0.5 - along), top - 0.01)
    ends = np.minimum(along, 1 - along)
    half = shape.width / 2 * (1 - 0.13 * np.exp(-ends / 0.022) - 0.05 * np.exp(-ends / 0.10))
    bottom = shape.bottom + 0.10 * np.exp(-ends / 0.05)
    rise = np.clip((top - belt) / (shape.height - shape.belt), 0, 1)
    roof_half = half * (1 - shape.tumble * rise)
    x = (along - 0.5) * shape.length
    body = belt - bottom
    rows = [
        (half * 0.95, bottom),
        (half, bottom + 0.28 * body),
        (half * 1.005, bottom + 0.62 * body),
        (half * 0.985, bottom + 0.80 * body),
        (half * 0.965, belt),
        (half * 0.965 + (roof_half - half) * 0.85, belt + (top - belt) * 0.86),
        (roof_half * 0.90, top - 0.012),
        (roof_half * 0.5, top + 0.008),
        (np.zeros_like(x), top + 0.015),
    ]
    grid = np.stack([np.stack([x, y, z], axis=-1) for z, y in rows], axis=1)  # (stations, rows, 3), right half

    middle = (along[:-1] + along[1:]) / 2
    materials = np.full((len(middle), len(rows) - 1), Material.PAINT)
    windows = (middle > shape.glass[0]) & (middle < shape.glass[1]) & (rise[:-1] + rise[1:] > 0.7)
    for pillar in shape.pillars:
        windows &= np.abs(middle - pillar) > 0.012
    materials[windows, 4] = Material.GLASS
    for start, end in (shape.rear_screen, shape.front_screen):
        screen = (middle > start) & (middle < end)
        materials[screen, 6:] = Material.GLASS
    materials[:, 0] = Material.RUBBER
    materials[middle < 0.035, 2:4] = Material.TAILLIGHT
    materials[middle > 0.945, 2:4] = Material.HEADLIGHT

    right = np.stack([grid[:-1, :-1], grid[1:, :-1], grid[1:, 1:], grid[:-1, 1:]], axis=2).reshape(-1, 4, 3)
    left = (right * np.array([1, 1, -1]))[:, ::-1]
    flat = materials.reshape(-1)
    caps, details = _ends(shape, grid)
    body = Mesh.join(Mesh(right, flat), Mesh(left, flat), *caps)
    return Part(body, Mesh.join(*details, _seams(shape, along, grid)))


def _seams(shape: CarShape, along: np.ndarray, grid: np.ndarray) -> Mesh:
    """Returns the door gaps and handles, slightly outside the sides of the body."""
    quads = []
    ends = [shape.glass[0] + 0.02, *shape.pillars, shape.glass[1] - 0.03]
    for at in ends:
        line = np.array([grid[np.abs(along - at).argmin(), row] for row in range(1, 5)])
        for lower, upper in pairwise(line):
            wide = np.array([0.007, 0.0, 0.0])
            quads.append(
                np.array([lower - wide, lower + wide, upper + wide, upper - wide]) + np.array([0.0, 0.0, 0.004])
            )
    for at in ends[1:]:
        x, z = (at - 0.5) * shape.length, shape.width / 2 * 1.005
        y = shape.belt - 0.13
        quads.append(np.array([[x - 0.28, y, z], [x - 0.10, y, z], [x - 0.10, y + 0.03, z], [x - 0.28, y + 0.03, z]]))
    right = np.array(quads)
    both = np.concatenate([right, (right * np.array([1, 1, -1]))[:, ::-1]])
    return Mesh(both, np.full(len(both), Material.RUBBER))


def _ends(shape: CarShape, grid: np.ndarray) -> tuple[list[Mesh], list[Mesh]]:
    """Returns the front and rear faces, with lamps, grille, license plate and bumper."""
    caps, details = [], []
    for station, sign in ((0, -1), (-1, 1)):
        ring = grid[station]
        x = float(ring[0, 0])
        low, high, half = float(ring[0, 1]), float(ring[-2, 1]), float(ring[1, 2])
        for lower, upper in pairwise(ring):
            z0, z1 = lower[2], upper[2]
            face = np.array([[x, lower[1], -z0], [x, lower[1], z0], [x, upper[1], z1], [x, upper[1], -z1]])
            caps.append(Mesh.of([face if sign < 0 else face[::-1]], Material.PAINT))
        out = x + sign * 0.012
        tall = high - low
        bumper = 0.20 if sign < 0 else 0.10
        details.append(end_panels(-half * 0.97, half * 0.97, low, low + bumper * tall, out, Material.RUBBER))
        lamps = Material.TAILLIGHT if sign < 0 else Material.HEADLIGHT
        inner, outer = (0.66, 1.0) if sign < 0 else (0.56, 1.0)
        reach = (0.48, 0.84) if sign < 0 else (0.60, 0.90)
        for side in (-1, 1):
            z = np.sort(np.array([inner, outer]) * half * side)
            y0, y1 = low + reach[0] * tall, low + reach[1] * tall
            details.append(end_panels(z[0] - 0.015, z[1] + 0.015, y0 - 0.015, y1 + 0.015, out, Material.RUBBER))
            details.append(end_panels(z[0], z[1], y0, y1, out, lamps))
            lens = np.sort(np.array([inner + 0.08, inner + 0.2]) * half * side)
            shade = Material.METAL if sign > 0 else Material.PLATE
            details.append(end_panels(lens[0], lens[1], y0 + 0.04 * tall, y0 + 0.12 * tall, out + sign * 0.004, shade))
        if sign > 0:
            details.append(
                end_panels(-half * 0.46, half * 0.46, low + 0.48 * tall, low + 0.80 * tall, out, Material.RUBBER)
            )
            for bar in (0.56, 0.66, 0.74):
                details.append(
                    end_panels(
                        -half * 0.44,
                        half * 0.44,
                        low + bar * tall,
                        low + (bar + 0.02) * tall,
                        out + 0.004,
                        Material.METAL,
                    )
                )
            details.append(
                end_panels(-half * 0.66, half * 0.66, low + 0.14 * tall, low + 0.30 * tall, out, Material.RUBBER)
            )
        else:
            details.append(
                end_panels(-half * 0.9, half * 0.9, low + 0.44 * tall, low + 0.452 * tall, out, Material.RUBBER)
            )
        plate = low + (0.38 if sign > 0 else 0.62) * tall
        details.append(end_panels(-0.26, 0.26, plate - 0.055, plate + 0.055, out + sign * 0.01, Material.PLATE))
        letters = np.arange(-0.20, 0.2, 0.062)
        details.append(
            end_panels(letters, letters + 0.035, plate - 0.03, plate + 0.03, out + sign * 0.012, Material.RUBBER)
        )
    return caps, details

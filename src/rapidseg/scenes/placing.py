"""What stands where in a scene, and in which order it is drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from rapidseg.scenes.figures import Figure, draw_figure
from rapidseg.scenes.plants import Plant, draw_plant
from rapidseg.scenes.stage import Stage
from rapidseg.scenes.vehicles import Vehicle, draw_vehicle

_FEET_SEEN_M = 60.0  # farther off, the darkness around feet is too small to see
_ANGLES = np.arange(8) * (np.pi / 4)
_RING = np.stack([np.cos(_ANGLES), np.zeros(8), np.sin(_ANGLES)], axis=-1)


@dataclass(frozen=True)
class Placed:
    """Something to draw. What is farther off, by `distance` in meters, is drawn earlier."""

    distance: float
    draw: Callable[[Stage], None]


@dataclass
class Contents:
    """All that stands in a scene, the bodies that cast shadows, and footprints, each as points (N, 3)."""

    placed: list[Placed] = field(default_factory=list)
    house_bodies: list[np.ndarray] = field(default_factory=list)
    other_bodies: list[np.ndarray] = field(default_factory=list)
    footprints: list[np.ndarray] = field(default_factory=list)
    _taken: list[tuple[float, float, float]] = field(default_factory=list)

    def add(self, point: np.ndarray, draw: Callable[[Stage], None], foot_m: float = 0.0) -> None:
        """Adds something that stands at a ground point (3,) on a round foot."""
        self.placed.append(Placed(float(np.hypot(point[0], point[2])), draw))
        if foot_m > 0 and point[2] < _FEET_SEEN_M:
            self.footprints.append(point + foot_m * _RING)

    def add_plant(self, plant: Plant) -> None:
        self.add(plant.base, lambda stage: draw_plant(stage, plant), plant.trunk)
        self.other_bodies += plant.shadows()

    def add_vehicle(self, vehicle: Vehicle) -> None:
        self.placed.append(Placed(vehicle.distance, lambda stage: draw_vehicle(stage, vehicle)))
        self.other_bodies.append(vehicle.shadow())

    def add_figure(self, figure: Figure) -> None:
        self.add(figure.pose.base, lambda stage: draw_figure(stage, figure), 0.25)
        self.other_bodies += figure.shadows()

    def claim(self, s: float, t: float, radius: float) -> bool:
        """Takes a place in the street, unless something stands too near; returns whether it was free."""
        if any(np.hypot(s - other_s, t - other_t) < radius + other for other_s, other_t, other in self._taken):
            return False
        self._taken.append((s, t, radius))
        return True

    def draw(self, stage: Stage) -> None:
        for thing in sorted(self.placed, key=lambda thing: -thing.distance):
            thing.draw(stage)

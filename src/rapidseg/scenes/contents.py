"""The objects of a scene, their order of drawing, shadows and footprints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from rapidseg.scenes.limbs_and_wheels import Figure, draw_figure
from rapidseg.scenes.plants import Plant, draw_plant
from rapidseg.scenes.stage import Stage
from rapidseg.scenes.vehicles import Vehicle, draw_vehicle

_FEET_SEEN_M = 60.0  # beyond, the darkness around footprints is not visible
_ANGLES = np.arange(8) * (np.pi / 4)
_RING = np.stack([np.cos(_ANGLES), np.zeros(8), np.sin(_ANGLES)], axis=-1)


@dataclass(frozen=True)
class SceneObject:
    """An object to draw; `distance` in meters gives the order, from far to near."""

    distance: float
    draw: Callable[[Stage], None]


@dataclass
class Contents:
    """The objects of a scene.

    Attributes:
        objects: what is drawn.
        house_bodies, object_bodies: what casts shadows, each as points (N, 3) on a convex body.
        footprints: convex polygons (N, 3) around which the ground is darker.
    """

    objects: list[SceneObject] = field(default_factory=list)
    house_bodies: list[np.ndarray] = field(default_factory=list)
    object_bodies: list[np.ndarray] = field(default_factory=list)
    footprints: list[np.ndarray] = field(default_factory=list)
    _taken: list[tuple[float, float, float]] = field(default_factory=list)

    def add(self, point: np.ndarray, draw: Callable[[Stage], None], foot_m: float = 0.0) -> None:
        """Adds an object at a ground point (3,), with a round footprint of radius `foot_m`."""
        self.objects.append(SceneObject(float(np.hypot(point[0], point[2])), draw))
        if foot_m > 0 and point[2] < _FEET_SEEN_M:
            self.footprints.append(point + foot_m * _RING)

    def add_plant(self, plant: Plant) -> None:
        self.add(plant.base, lambda stage: draw_plant(stage, plant), plant.trunk)
        self.object_bodies += plant.shadows()

    def add_vehicle(self, vehicle: Vehicle) -> None:
        self.objects.append(SceneObject(vehicle.distance, lambda stage: draw_vehicle(stage, vehicle)))
        self.object_bodies.append(vehicle.shadow())

    def add_figure(self, figure: Figure) -> None:
        self.add(figure.pose.base, lambda stage: draw_figure(stage, figure), 0.25)
        self.object_bodies += figure.shadows()

    def claim(self, s: float, t: float, radius: float) -> bool:
        """Reserves a circle in the street; returns whether it was free."""
        if any(
            np.hypot(s - other_s, t - other_t) < radius + other_radius for other_s, other_t, other_radius in self._taken
        ):
            return False
        self._taken.append((s, t, radius))
        return True

    def draw(self, stage: Stage) -> None:
        for scene_object in sorted(self.objects, key=lambda scene_object: -scene_object.distance):
            scene_object.draw(stage)

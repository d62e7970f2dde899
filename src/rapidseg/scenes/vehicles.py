"""Cars, vans, trucks, buses and trams."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from rapidseg.scenes.camera import NEAR_M
from rapidseg.scenes.canvas import Label, Sheet
from rapidseg.scenes.cars import CAR_SHAPES, VAN, car_part
from rapidseg.scenes.large_vehicles import coach_parts, truck_parts
from rapidseg.scenes.meshes import Material, MeshPainter, Part, Pose, box_mesh
from rapidseg.scenes.stage import Stage

_PAINTS = np.array(
    [
        [206, 208, 210], [168, 172, 176], [120, 124, 128], [62, 64, 68], [30, 31, 34], [230, 230, 228],
        [34, 52, 92], [66, 92, 134], [140, 28, 30], [104, 20, 28], [44, 70, 56], [150, 138, 116], [196, 150, 44],
    ],
    np.float64,
)  # fmt: skip
_PAINT_SHARES = [0.15, 0.14, 0.11, 0.13, 0.14, 0.10, 0.06, 0.05, 0.05, 0.02, 0.02, 0.02, 0.01]
_LIVERIES = np.array(
    [[198, 40, 38], [224, 222, 214], [232, 184, 40], [36, 84, 148], [48, 122, 84], [226, 120, 36], [60, 64, 70]],
    np.float64,
)
_LABELS = {"car": Label.CAR, "truck": Label.TRUCK, "bus": Label.BUS, "tram": Label.TRAIN}


@dataclass(frozen=True)
class Vehicle:
    """A vehicle.

    Attributes:
        kind: `car`, `truck`, `bus` or `tram`.
        pose: position and heading.
        length, width, height: meters.
        parts: its body.
        axles: (x, radius) of its wheels.
        paint, second: colors in diffuse light.
    """

    kind: str
    pose: Pose
    length: float
    width: float
    height: float
    parts: tuple[Part, ...]
    axles: tuple[tuple[float, float], ...]
    paint: np.ndarray
    second: np.ndarray

    def footprint(self, grow: float = 1.0) -> np.ndarray:
        """Returns the corners (4, 3) of its footprint."""
        x, z = self.length / 2 * grow, self.width / 2 * grow
        return self.pose.to_camera(np.array([[-x, 0, -z], [x, 0, -z], [x, 0, z], [-x, 0, z]]))

    def shadow(self) -> np.ndarray:
        """Returns points (8, 3) around it, for its shadow."""
        low = self.footprint(0.96)
        x, z = self.length * 0.36, self.width * 0.42
        high = np.array([[-x, self.height, -z], [x, self.height, -z], [x, self.height, z], [-x, self.height, z]])
        return np.concatenate([low, self.pose.to_camera(high)])

    @property
    def distance(self) -> float:
        """Meters to its nearest corner."""
        return float(np.hypot(*self.footprint()[:, [0, 2]].T).min())


def make_vehicle(kind: str, base: np.ndarray, heading: float, rng: np.random.Generator) -> Vehicle:
    """Returns a random vehicle of a kind."""
    paint = _PAINTS[rng.choice(len(_PAINTS), p=_PAINT_SHARES)] * rng.uniform(0.85, 1.05)
    pose = Pose(base, heading)
    if kind == "car":
        shape = CAR_SHAPES[rng.choice(len(CAR_SHAPES), p=[0.24, 0.32, 0.17, 0.17, 0.10])]
        if shape is VAN and rng.random() < 0.6:
            paint = np.array([222.0, 222.0, 220.0])
        radius = 0.36 if shape.bottom > 0.27 else 0.31
        axles = (
            (-0.5 * shape.length + 0.19 * shape.length, radius),
            (0.5 * shape.length - 0.19 * shape.length, radius),
        )
        return Vehicle(kind, pose, shape.length, shape.width, shape.height, (car_part(shape),), axles, paint, paint)
    livery = _LIVERIES[rng.integers(len(_LIVERIES))] * rng.uniform(0.85, 1.05)
    pale = np.array([220.0, 220.0, 216.0])
    if kind == "truck":
        length, height = float(rng.uniform(6.5, 9.5)), float(rng.uniform(2.9, 3.6))
        body = livery if rng.random() < 0.4 else pale
        axles = ((-length * 0.27, 0.47), (length * 0.36, 0.47))
        return Vehicle(kind, pose, length, 2.45, height, truck_parts(length, height), axles, paint, body)
    if kind == "bus":
        length = float(rng.uniform(10.5, 12.5))
        axles = ((-length * 0.22, 0.48), (length * 0.30, 0.48))
        return Vehicle(kind, pose, length, 2.5, 3.05, coach_parts(length, 3.05, 0.32), axles, livery, pale)
    length = float(rng.uniform(20, 28))
    return Vehicle(kind, pose, length, 2.5, 3.5, coach_parts(length, 3.5, 0.2), (), livery, pale)


def draw_vehicle(stage: Stage, vehicle: Vehicle) -> None:
    """Draws a vehicle and the dark ground below it."""
    corners = vehicle.footprint(1.06)
    if corners[:, 2].min() < NEAR_M + 0.2:
        return
    roof = corners + np.array([0.0, vehicle.height + 0.3, 0.0])
    sheet = Sheet.over(stage.canvas, stage.camera.project(np.concatenate([corners, roof])))
    if sheet is None:
        return
    _darken_below(stage, vehicle)
    painter = MeshPainter(stage, vehicle.pose, vehicle.paint, vehicle.second, sheet)
    below = 0.34 if vehicle.kind == "car" else 0.6
    low = 0.2 if vehicle.kind != "tram" else 0.08
    x, z = vehicle.length / 2 - 0.35, vehicle.width / 2 - 0.12
    underside = box_mesh((-x, x), (low, below), (-z, z), Material.RUBBER)
    painter.faces(underside)
    seen = {
        side: vehicle.pose.sees(np.array([0.0, 0.0, side]), np.array([0.0, 1.0, side * vehicle.width / 2]))
        for side in (-1, 1)
    }
    far_to_near = sorted(seen, key=lambda side: seen[side])
    for side in far_to_near:
        _tires(painter, vehicle, side)
        if not seen[side]:
            _mirror(painter, vehicle, side)
    painter.parts(vehicle.parts)
    for side in far_to_near:
        if seen[side]:
            _wheels(painter, vehicle, side)
            _mirror(painter, vehicle, side)
    sheet.label_all(_LABELS[vehicle.kind])
    stage.lay_down(sheet, vehicle.distance)


def _mirror(painter: MeshPainter, vehicle: Vehicle, side: int) -> None:
    """Draws the outside mirror of a car."""
    if vehicle.kind != "car":
        return
    z = side * vehicle.width / 2
    reach = (z - 0.02, z + 0.16) if side > 0 else (z - 0.16, z + 0.02)
    at, y = vehicle.length * 0.17, vehicle.height * 0.5 + 0.26
    mirror = box_mesh((at, at + 0.1), (y, y + 0.13), reach, Material.PAINT)
    painter.faces(mirror)


def _tires(painter: MeshPainter, vehicle: Vehicle, side: int) -> None:
    """Draws the wheels of one side as dark cylinders, most of which the body covers."""
    gain = painter.stage.light.gain(np.zeros(3), 0.0)
    for x, radius in vehicle.axles:
        outer = side * (vehicle.width / 2 - 0.02)
        painter.cylinder(np.array([x, radius, outer]), radius, -side * 0.2, np.array([20.0, 20.0, 22.0]) * gain)


def _wheels(painter: MeshPainter, vehicle: Vehicle, side: int) -> None:
    """Draws the visible wheels of one side: arch, tire, rim and spokes."""
    gain = painter.stage.light.gain(np.zeros(3), 0.0)
    tire, arch = np.array([26.0, 26.0, 28.0]) * gain, np.array([12.0, 12.0, 13.0]) * gain
    rim = np.array([150.0, 152.0, 155.0]) * gain * (1.1 if vehicle.kind == "car" else 0.7)
    for x, radius in vehicle.axles:
        hub = np.array([x, radius, side * (vehicle.width / 2 + 0.012)])
        painter.disc(hub + np.array([0.0, 0.04, -side * 0.007]), radius * 1.15, arch)
        painter.disc(hub, radius, tire)
        painter.disc(hub, radius * 0.66, rim * 0.4)
        angles = np.arange(5) * (2 * np.pi / 5) + radius * 7
        for angle in angles:
            tip = np.array([np.cos(angle), np.sin(angle), 0.0]) * radius * 0.64
            across = np.array([-np.sin(angle), np.cos(angle), 0.0]) * radius
            blade = [hub + across * 0.17, hub - across * 0.17, hub + tip - across * 0.13, hub + tip + across * 0.13]
            painter.flat(np.array(blade), rim)


def _darken_below(stage: Stage, vehicle: Vehicle) -> None:
    """Softly darkens the ground below a vehicle, which receives little light in any weather."""
    corners = stage.camera.project_polygon(vehicle.footprint(1.0))
    if len(corners) < 3:
        return
    soft = max(stage.camera.pixels_per_meter(vehicle.distance) * 0.16, 0.6)
    box = stage.canvas.box(corners, margin_px=int(2 * soft) + 1)
    if box is None:
        return
    left, top, right, bottom = box
    dark = np.zeros((bottom - top, right - left), np.uint8)
    cv2.fillPoly(
        dark,
        [np.rint((corners - np.array([left, top])) * 16).clip(-(2**19), 2**19).astype(np.int32)],
        210,
        cv2.LINE_AA,
        4,
    )
    size = int(soft * 2) | 1
    alpha = (
        cv2.blur(cv2.blur(dark, (size, max(size // 2, 1) | 1)), (size, max(size // 2, 1) | 1)).astype(np.float32) / 255
    )
    alpha *= 1 - stage.light.haze(vehicle.distance)
    stage.canvas.blend(box, np.zeros((*alpha.shape, 3), np.float32) + 6 * alpha[..., None], alpha)

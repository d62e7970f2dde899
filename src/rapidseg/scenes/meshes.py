"""Solid bodies of vehicles: quadrilaterals with materials, light and reflections, drawn from back to front.

A vehicle's frame is in meters: x forward from its middle, y up from the ground, z to its right.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

import cv2
import numpy as np

from rapidseg.scenes.camera import NEAR_M
from rapidseg.scenes.canvas import Sheet
from rapidseg.scenes.stage import Stage


class Material(IntEnum):
    """The material of a face."""

    PAINT = 0
    SECOND_PAINT = 1
    GLASS = 2
    RUBBER = 3
    METAL = 4
    HEADLIGHT = 5
    TAILLIGHT = 6
    PLATE = 7
    SCREEN = 8  # a lit display


# Color in diffuse light, and the share of light that is reflected at a right angle.
_LOOK: Mapping[Material, tuple[tuple[float, float, float], float]] = {
    Material.GLASS: ((22, 26, 30), 0.16),
    Material.RUBBER: ((30, 30, 32), 0.01),
    Material.METAL: ((128, 130, 132), 0.10),
    Material.HEADLIGHT: ((206, 210, 212), 0.15),
    Material.TAILLIGHT: ((160, 26, 24), 0.08),
    Material.PLATE: ((208, 208, 198), 0.02),
    Material.SCREEN: ((232, 170, 60), 0.0),
}


Edge = np.ndarray | float

_ANGLES = np.arange(20) * (2 * np.pi / 20)
_CIRCLE = np.stack([np.cos(_ANGLES), np.sin(_ANGLES), np.zeros(20)], axis=-1)


@dataclass(frozen=True)
class Mesh:
    """Faces in a vehicle's frame.

    Attributes:
        quads: (N, 4, 3) corners, counterclockwise seen from outside.
        materials: (N,) `Material` values.
    """

    quads: np.ndarray
    materials: np.ndarray

    @classmethod
    def join(cls, *meshes: Mesh) -> Mesh:
        return cls(np.concatenate([mesh.quads for mesh in meshes]), np.concatenate([mesh.materials for mesh in meshes]))

    @classmethod
    def of(cls, quads: list[np.ndarray], material: Material) -> Mesh:
        return cls(np.array(quads, np.float64), np.full(len(quads), material))


@dataclass(frozen=True)
class Part:
    """A convex part of a vehicle: its body, and details that are drawn over it in order."""

    body: Mesh
    details: Mesh


@dataclass(frozen=True)
class Pose:
    """Position and direction of a vehicle: the ground point (3,) below its middle, and its heading.

    `heading` is in radians, to the right of the camera's axis.
    """

    base: np.ndarray
    heading: float

    def to_camera(self, points: np.ndarray) -> np.ndarray:
        """Converts points (..., 3) from the vehicle's frame to the camera's frame."""
        cos, sin = np.cos(self.heading), np.sin(self.heading)
        x, y, z = points[..., 0], points[..., 1], points[..., 2]
        turned = np.stack([x * sin + z * cos, y, x * cos - z * sin], axis=-1)
        moved: np.ndarray = turned + self.base
        return moved

    def sees(self, direction: np.ndarray, point: np.ndarray) -> bool:
        """Returns whether a face at `point` with the horizontal normal `direction`, in its frame, faces the camera."""
        normal = self.to_camera(direction) - self.base
        return float(normal @ self.to_camera(point)) < 0


class MeshPainter:
    """Draws the faces of a vehicle on a sheet."""

    def __init__(self, stage: Stage, pose: Pose, paint: np.ndarray, second: np.ndarray, sheet: Sheet) -> None:
        self.stage, self.pose, self.sheet = stage, pose, sheet
        self.sunlit = stage.sunlit(pose.base)
        table = [(tuple(paint), 0.07), (tuple(second), 0.05), *(_LOOK[material] for material in list(Material)[2:])]
        self._albedo = np.array([color for color, _ in table], np.float64)
        self._mirror = np.array([share for _, share in table])

    def faces(self, mesh: Mesh, *, sort: bool = True) -> None:
        """Draws the faces that face the camera."""
        quads = self.pose.to_camera(mesh.quads)
        eye = np.array([0.0, self.stage.camera.height_m, 0.0])
        # The camera's frame is left-handed and a vehicle's is right-handed, hence the order of the factors.
        normals = np.cross(quads[:, 3] - quads[:, 1], quads[:, 2] - quads[:, 0])
        size = np.linalg.norm(normals, axis=1, keepdims=True)
        normals = normals / np.maximum(size, 1e-9)
        middles = quads.mean(axis=1)
        seen = (
            (((eye - middles) * normals).sum(axis=1) > 0) & (quads[..., 2].min(axis=1) > NEAR_M) & (size[:, 0] > 1e-7)
        )
        quads, normals, middles, materials = quads[seen], normals[seen], middles[seen], mesh.materials[seen]
        if not len(quads):
            return
        colors = self._lit(normals, middles - eye, materials)
        corners = self.stage.camera.project(quads)
        order = np.argsort(-np.linalg.norm(middles - eye, axis=1), kind="stable") if sort else np.arange(len(quads))
        self.sheet.faces(corners[order], colors[order])

    def _lit(self, normals: np.ndarray, rays: np.ndarray, materials: np.ndarray) -> np.ndarray:
        """Returns the RGB (N, 3) of faces: diffuse light, reflections, highlight of the sun."""
        light = self.stage.light
        rays = rays / np.linalg.norm(rays, axis=1, keepdims=True)
        facing = -(rays * normals).sum(axis=1, keepdims=True)
        mirrored = rays + 2 * facing * normals
        # Schlick's approximation of Fresnel's law.
        straight = self._mirror[materials][:, None]
        share = straight + (1 - straight) * np.where(straight > 0.03, (1 - np.clip(facing, 0, 1)) ** 5, 0)
        color = self._albedo[materials] * light.gain(normals, self.sunlit)
        shine = np.clip(mirrored @ light.sun, 0, 1)[:, None] ** 40 * self.sunlit * light.sun_gain * 160
        glow = np.isin(materials, (Material.SCREEN,))[:, None]
        lit: np.ndarray = color * (1 - share) + share * light.reflected(mirrored) + shine * (straight > 0.04)
        return np.where(glow, self._albedo[materials], lit)

    def parts(self, parts: tuple[Part, ...]) -> None:
        """Draws convex parts, from far to near."""
        middles = [part.body.quads.reshape(-1, 3).mean(axis=0) for part in parts]
        distances = [float(np.linalg.norm(self.pose.to_camera(middle)[[0, 2]])) for middle in middles]
        for index in np.argsort(distances, kind="stable")[::-1]:
            self.faces(parts[index].body)
            self.faces(parts[index].details, sort=False)

    def flat(self, points: np.ndarray, color: np.ndarray) -> None:
        """Draws a polygon (N, 3) in the vehicle's frame, in a color that includes the light."""
        points = self.pose.to_camera(points)
        if points[:, 2].min() > NEAR_M:
            self.sheet.polygon(self.stage.camera.project(points), color, None)

    def disc(self, center: np.ndarray, radius: float, color: np.ndarray) -> None:
        """Draws an upright disc along the vehicle."""
        self.flat(center + radius * _CIRCLE, color)

    def cylinder(self, center: np.ndarray, radius: float, depth: float, color: np.ndarray) -> None:
        """Draws a disc with a rim of `depth` meters along z."""
        rims = [center + radius * _CIRCLE, center + np.array([0.0, 0.0, depth]) + radius * _CIRCLE]
        points = self.pose.to_camera(np.concatenate(rims))
        if points[:, 2].min() > NEAR_M:
            hull = cv2.convexHull(self.stage.camera.project(points).astype(np.float32))[:, 0]
            self.sheet.polygon(hull.astype(np.float64), color, None)


def box_mesh(x: tuple[float, float], y: tuple[float, float], z: tuple[float, float], material: Material) -> Mesh:
    """Returns a box from its extents."""
    (x0, x1), (y0, y1), (z0, z1) = x, y, z
    corner = {
        (i, j, k): (px, py, pz)
        for i, px in enumerate((x0, x1))
        for j, py in enumerate((y0, y1))
        for k, pz in enumerate((z0, z1))
    }
    faces = [
        [(1, 0, 0), (1, 1, 0), (1, 1, 1), (1, 0, 1)],  # front
        [(0, 0, 1), (0, 1, 1), (0, 1, 0), (0, 0, 0)],  # back
        [(0, 0, 1), (1, 0, 1), (1, 1, 1), (0, 1, 1)],  # right
        [(1, 0, 0), (0, 0, 0), (0, 1, 0), (1, 1, 0)],  # left
        [(0, 1, 1), (1, 1, 1), (1, 1, 0), (0, 1, 0)],  # top
    ]
    return Mesh.of([np.array([corner[key] for key in face]) for face in faces], material)


def side_panels(x0: Edge, x1: Edge, y0: Edge, y1: Edge, z: float, material: Material) -> Mesh:
    """Returns rectangles (N) on the side at `z`, facing outwards; the edges are each (N,) or a number."""
    x0, x1, y0, y1 = np.broadcast_arrays(*(np.atleast_1d(np.asarray(edge, float)) for edge in (x0, x1, y0, y1)))
    depth = np.full_like(x0, z)
    corners = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)] if z > 0 else [(x1, y0), (x0, y0), (x0, y1), (x1, y1)]
    quads = np.stack([np.stack([px, py, depth], axis=-1) for px, py in corners], axis=1)
    return Mesh(quads, np.full(len(quads), material))


def end_panels(z0: Edge, z1: Edge, y0: Edge, y1: Edge, x: float, material: Material) -> Mesh:
    """Returns rectangles (N) on the front (`x` > 0) or the back, facing outwards."""
    z0, z1, y0, y1 = np.broadcast_arrays(*(np.atleast_1d(np.asarray(edge, float)) for edge in (z0, z1, y0, y1)))
    depth = np.full_like(z0, x)
    corners = [(z0, y0), (z0, y1), (z1, y1), (z1, y0)] if x > 0 else [(z0, y0), (z1, y0), (z1, y1), (z0, y1)]
    quads = np.stack([np.stack([depth, py, pz], axis=-1) for pz, py in corners], axis=1)
    return Mesh(quads, np.full(len(quads), material))

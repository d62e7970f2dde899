"""Trees, bushes and hedges as clusters of leaves."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from rapidseg.scenes.camera import NEAR_M
from rapidseg.scenes.canvas import Label, Sheet
from rapidseg.scenes.noise import TILE, cloud_tile, leaf_tile
from rapidseg.scenes.stage import Stage

# Leaves in diffuse light: summer greens, olive, dark conifers, and some autumn colors.
LEAVES = np.array(
    [
        [78, 98, 48],
        [66, 90, 44],
        [92, 108, 54],
        [58, 78, 46],
        [84, 92, 52],
        [70, 84, 56],
        [128, 104, 48],
        [116, 84, 48],
    ],
    np.float64,
)
_LEAF_TEXELS = 18.0  # length of a leaf in the leaf tile
_BARK = np.array([92.0, 80.0, 68.0])


@dataclass(frozen=True)
class Plant:
    """Spherical lumps of leaves, with or without a trunk.

    Attributes:
        base: (3,) ground point.
        lumps: (N, 4) center and radius of each, in meters, relative to `base`.
        trunk: radius of the trunk in meters, 0 for a bush.
        leaf: size of a leaf in meters.
        seed: seed of its leaves.
    """

    base: np.ndarray
    lumps: np.ndarray
    trunk: float
    leaf: float
    seed: int

    def shadows(self) -> list[np.ndarray]:
        """Returns points on each lump, and on the trunk, for the shadow."""
        octagon = np.arange(8) * (np.pi / 4)
        flat = np.stack([np.cos(octagon), np.zeros(8), np.sin(octagon)], axis=-1)
        upright = np.stack([np.cos(octagon), np.sin(octagon), np.zeros(8)], axis=-1)
        around = np.concatenate([flat, upright])
        bodies = [self.base + lump[:3] + around * lump[3] * 0.85 for lump in self.lumps]
        if self.trunk > 0:
            top = float(self.lumps[:, 1].mean())
            bodies.append(self.base + np.concatenate([flat * self.trunk, flat * self.trunk * 0.6 + [0.0, top, 0.0]]))
        return bodies


def make_tree(base: np.ndarray, height: float, rng: np.random.Generator) -> Plant:
    """Returns a tree: an egg-shaped crown on a trunk."""
    bare = height * rng.uniform(0.22, 0.34)
    reach = np.array([height * rng.uniform(0.22, 0.34), (height - bare) / 2, 0.0])
    reach[2] = reach[0]
    count = int(rng.integers(30, 46))
    directions = rng.normal(size=(count, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    centers = directions * rng.uniform(0.45, 0.92, (count, 1)) * reach + np.array([0.0, bare + reach[1], 0.0])
    radii = rng.uniform(0.20, 0.42, count) * min(reach[0], reach[1])
    lumps = np.concatenate([np.c_[centers, radii], [[0.0, bare + reach[1], 0.0, 0.62 * min(reach[0], reach[1])]]])
    return Plant(base, lumps, height * rng.uniform(0.012, 0.018) + 0.04, 0.16, int(rng.integers(2**32)))


def make_conifer(base: np.ndarray, height: float, rng: np.random.Generator) -> Plant:
    """Returns a slender tree that tapers to its top."""
    rise = np.linspace(0.12, 0.97, 14)
    wide = height * rng.uniform(0.12, 0.2)
    radii = wide * (1.02 - rise) * rng.uniform(0.7, 1.1, len(rise)) + 0.1
    aside = rng.normal(0, 0.25, (len(rise), 2)) * radii[:, None]
    lumps = np.stack([aside[:, 0], rise * height, aside[:, 1], radii], axis=-1)
    return Plant(base, lumps, height * 0.015, 0.11, int(rng.integers(2**32)))


def make_bush(base: np.ndarray, along: np.ndarray, length: float, height: float, rng: np.random.Generator) -> Plant:
    """Returns a row of bushes, or a hedge, from `base` in the direction `along`."""
    count = max(3, int(length / (height * 0.35)))
    steps = np.linspace(0, length, count)
    radii = height * rng.uniform(0.34, 0.5, count)
    centers = (
        steps[:, None] * along
        + np.c_[rng.normal(0, 0.08, count), np.maximum(height - radii, radii * 0.4), rng.normal(0, 0.08, count)]
    )
    low = np.c_[steps[:, None] * along, radii * 0.9]
    low[:, 1] += radii * 0.5
    return Plant(base, np.concatenate([low, np.c_[centers, radii]]), 0.0, 0.08, int(rng.integers(2**32)))


def draw_plant(stage: Stage, plant: Plant) -> None:
    """Draws trunk, branches and leaves."""
    rng = np.random.default_rng(plant.seed)
    camera, light = stage.camera, stage.light
    if plant.base[2] < 1.5:
        return
    distance = float(np.hypot(plant.base[0], plant.base[2]))
    sunlit = 0.25 + 0.75 * stage.sunlit(plant.base)
    if plant.trunk > 0:
        _draw_trunk(stage, plant, distance, sunlit)
    lumps = plant.lumps[np.argsort(-plant.lumps[:, 2], kind="stable")]
    if float(lumps[:, 3].max()) * camera.pixels_per_meter(plant.base[2]) < 5:
        lumps = lumps[::3]  # small in the image: fewer, larger ones look the same
        lumps = lumps * np.array([1.0, 1.0, 1.0, 1.35])
    lumps = lumps[plant.base[2] + lumps[:, 2] - lumps[:, 3] > NEAR_M]
    if not len(lumps):
        return
    centers, radii = plant.base + lumps[:, :3], lumps[:, 3]
    middles = camera.project(centers)
    sizes = radii * camera.focal_px / centers[:, 2]
    box = stage.canvas.box(np.concatenate([middles - sizes[:, None] * 1.2, middles + sizes[:, None] * 1.2]))
    if box is None:
        return
    left, top, right, bottom = box
    depth, shade = _lump_fields(
        middles - np.array([left, top]), sizes, centers, light.sun, (bottom - top, right - left)
    )

    # Leaves, and twigs of leaves four times as large: crops of the leaf tile, resized to their size in the image.
    texels_per_px = _LEAF_TEXELS / plant.leaf / camera.pixels_per_meter(float(centers[:, 2].mean()))
    offset = rng.integers(0, TILE, 2)
    brightness, order = (_crop(tile, offset, texels_per_px, depth.shape) for tile in leaf_tile())
    twig_brightness, twig_order = (_crop(tile, offset[::-1], texels_per_px / 4, depth.shape) for tile in leaf_tile())
    ragged = depth - np.float32(0.22) * order - np.float32(0.50) * twig_order
    alpha = np.clip(ragged * np.float32(8.0) + np.float32(0.3), 0, 1)
    base = LEAVES[rng.choice(len(LEAVES), p=[0.18, 0.18, 0.16, 0.14, 0.14, 0.12, 0.05, 0.03])] * rng.uniform(0.8, 1.1)
    # Leaves are translucent.
    towards_sun = (np.float32(0.22) + np.float32(0.78) * np.clip(shade, 0, 1)) * np.float32(sunlit)
    inside = np.clip(np.float32(0.42) + np.float32(1.1) * ragged, 0.35, 1)  # darker inside the crown
    leaf_light = np.float32(0.25) + np.float32(0.75) * brightness + np.float32(0.55) * twig_brightness
    tone = leaf_light * inside
    up = np.float32(0.55) + np.float32(0.45) * np.clip(shade * np.float32(0.5) + np.float32(0.5), 0, 1)
    haze = light.haze(distance)
    color = np.empty((*depth.shape, 3), np.float32)
    warm = np.array([1.10, 1.06, 0.72])
    for channel in range(3):
        ambient = np.float32(1.1 * base[channel] * light.sky_gain[channel] * (1 - haze))
        sun = np.float32(1.15 * base[channel] * light.sun_gain[channel] * warm[channel] * (1 - haze))
        lit = tone * (ambient * up + sun * towards_sun)
        color[..., channel] = (lit + np.float32(light.haze_color[channel] * haze)) * alpha
    stage.canvas.blend(box, color, alpha)
    stage.canvas.label[top:bottom, left:right][alpha >= 0.5] = Label.VEGETATION


def _crop(tile: np.ndarray, offset: np.ndarray, texels_per_px: float, shape: tuple[int, ...]) -> np.ndarray:
    """Returns a part of a repeating tile at `texels_per_px`, of the given shape."""
    if texels_per_px > 3:  # many leaves per pixel: only faint noise is left
        soft = np.float32(min(1.0, 3 / texels_per_px))
        faint: np.ndarray = np.float32(0.55) + (_crop(tile, offset, 3.0, shape) - np.float32(0.55)) * soft
        return faint
    rows, columns = (int(np.ceil(extent * texels_per_px)) + 2 for extent in shape)
    if max(rows, columns) > tile.shape[0] - TILE:
        tile = np.tile(tile[:TILE, :TILE], (-(-rows // TILE) + 1, -(-columns // TILE) + 1))
    part = tile[offset[0] : offset[0] + rows, offset[1] : offset[1] + columns]
    size_wh = (shape[1], shape[0])
    return cv2.resize(part, size_wh, interpolation=cv2.INTER_AREA if texels_per_px > 1 else cv2.INTER_LINEAR)


def _lump_fields(
    middles: np.ndarray, sizes: np.ndarray, centers: np.ndarray, sun: np.ndarray, shape: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the depth of each pixel inside the lumps, negative outside, and how far it faces the sun, -1..1."""
    step = max(1, max(shape) // 64)  # lumps are smooth, so a coarse grid is enough
    rows = np.arange(-(-shape[0] // step), dtype=np.float32)[:, None] * step + np.float32((step - 1) / 2)
    columns = np.arange(-(-shape[1] // step), dtype=np.float32)[None, :] * step + np.float32((step - 1) / 2)
    depth = np.full((rows.shape[0], columns.shape[1]), -1.0, np.float32)
    shade = np.zeros_like(depth)
    lowest, highest = centers[:, 1].min(), centers[:, 1].max()
    for middle, size, center in zip(middles, sizes, centers, strict=True):
        reach = np.stack([middle - 1.35 * size, middle + 1.35 * size]) / step
        (left, top), (right, bottom) = np.maximum(reach + np.array([[0], [1]]), 0).astype(int)
        if right <= left or bottom <= top:
            continue
        near = (slice(top, bottom), slice(left, right))
        across = (columns[:, near[1]] - np.float32(middle[0])) / np.float32(size)
        down = (rows[near[0]] - np.float32(middle[1])) / np.float32(size)
        inside = 1 - across * across - down * down
        forward = np.sqrt(np.maximum(inside, 0))
        facing = np.float32(sun[0]) * across - np.float32(sun[1]) * down - np.float32(sun[2]) * forward
        low = np.float32((center[1] - lowest) / (highest - lowest + 0.1))  # lower leaves are shaded by higher ones
        facing = facing * np.float32(0.7) + np.float32(0.55) * low - np.float32(0.15)
        before, shaded = depth[near], shade[near]
        over = np.where(
            inside > np.float32(0.12), np.float32(0.75), np.where(inside > before, np.float32(1), np.float32(0))
        )
        shade[near] = shaded + (facing - shaded) * over
        depth[near] = np.maximum(before, inside)
    size_wh = (shape[1], shape[0])
    full = [cv2.resize(field, size_wh, interpolation=cv2.INTER_LINEAR) for field in (depth, shade)]
    return full[0], full[1]


def _draw_trunk(stage: Stage, plant: Plant, distance: float, sunlit: float) -> None:
    camera, light = stage.camera, stage.light
    fork = plant.base + np.array([0.0, float(np.percentile(plant.lumps[:, 1], 25)), 0.0])
    tips = fork + (plant.base + plant.lumps[2::3, :3] - fork) * 0.6
    points = camera.project(np.stack([plant.base, fork, *tips]))
    sheet = Sheet.over(stage.canvas, points)
    if sheet is None:
        return
    scale = camera.pixels_per_meter(plant.base[2])
    wide = max(plant.trunk * scale, 0.4)
    gain = light.gain(np.array([0.0, 0.3, -0.9]), sunlit * 0.6)
    bark = _BARK * gain
    for tip in points[2:]:
        sheet.line(np.stack([points[1], tip]), wide * 0.5, bark * 0.7, Label.VEGETATION)
    foot, top = points[0], points[1]
    shape = np.array([[-1.25, 0.0], [1.25, 0.0], [0.75, 1.0], [-0.75, 1.0]])

    def outline(left: float, right: float) -> np.ndarray:
        edge = np.where(shape[:, :1] < 0, left, right) * np.abs(shape[:, :1]) * wide
        corners: np.ndarray = np.concatenate([edge, np.zeros((4, 1))], axis=1) + foot + (top - foot) * shape[:, 1:]
        return corners

    sheet.polygon(outline(-1, 1), bark * 0.75, Label.VEGETATION)
    bright = (-0.9, 0.2) if light.sun[0] < 0 else (-0.2, 0.9)
    sheet.polygon(outline(*bright), bark * 1.1, None)
    if scale > 20:
        sheet.weave(cloud_tile(0.8, 9), 0.22, 0.02 * scale, 0.08 * scale)
    stage.lay_down(sheet, distance)

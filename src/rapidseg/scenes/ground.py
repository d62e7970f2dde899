"""The ground: asphalt, curbs, sidewalks and grass, with shadows."""

from __future__ import annotations

import cv2
import numpy as np

from rapidseg.scenes.canvas import Label
from rapidseg.scenes.ground_view import GroundView, band, stripes
from rapidseg.scenes.markings import paint_markings
from rapidseg.scenes.stage import Stage
from rapidseg.scenes.street import CURB_M

_KERB_ALBEDO = np.array([95.0, 94.0, 92.0], np.float32)
_UP = np.array([0.0, 1.0, 0.0])


def draw_ground(stage: Stage, rng: np.random.Generator) -> None:
    """Draws all flat ground with its shadows; objects are drawn over it later."""
    camera, street, light = stage.camera, stage.street, stage.light
    first_row = min(int(camera.horizon_v) + 2, camera.size_hw[0] - 1)
    x, z = camera.ground(first_row)
    along, across = z * z / np.float32(camera.focal_px * camera.height_m), z / np.float32(camera.focal_px)
    road = GroundView(*street.to_street(x, z), along, across)
    # The sidewalk is higher, so its pixels show points that are slightly nearer.
    raised = GroundView(*street.to_street(x, z, 1 - CURB_M / camera.height_m), along, across)
    behind_road_curb = street.depth_behind_curb(road.s, road.t)
    behind = street.depth_behind_curb(raised.s, raised.t)
    on_top = behind > 0

    color = _asphalt(road, rng)
    paint_markings(road, street, color, rng)
    label = np.where((behind_road_curb > 0) | on_top, np.uint8(Label.SIDEWALK), np.uint8(Label.ROAD))
    gutter = np.clip(1 + behind_road_curb / np.float32(0.45), 0, 1) * np.float32(0.16)  # dirt gathers at the curb
    color *= (1 - gutter)[..., None]
    _lerp(color, _KERB_ALBEDO, _coverage(behind_road_curb))
    _lerp(color, _paving(raised, behind, rng), _coverage(behind))
    grassy = _grass_mask(stage, raised.t, behind) & on_top
    if grassy.any():
        color[grassy] = _grass(raised, grassy, rng)
        label[grassy] = Label.TERRAIN

    lit = cv2.resize(stage.shade, camera.size_hw[::-1], interpolation=cv2.INTER_LINEAR)[first_row:]
    open_ = cv2.resize(stage.openness, camera.size_hw[::-1], interpolation=cv2.INTER_LINEAR)[first_row:]
    in_sun, in_shadow = light.gain(_UP, 1.0), light.gain(_UP, 0.0)
    clear = np.exp(-np.float32(light.haze_per_m) * z)
    for channel in range(3):
        gain = np.float32(in_shadow[channel]) + lit * np.float32(in_sun[channel] - in_shadow[channel])
        plane = color[..., channel] * gain * open_
        haze = np.float32(light.haze_color[channel])
        plane = haze + (plane - haze) * clear
        stage.canvas.image[first_row:, :, channel] = np.clip(plane, 0, 255).astype(np.uint8)
    stage.canvas.label[first_row:] = label


def _coverage(distance: np.ndarray) -> np.ndarray:
    """Returns the share of each pixel in which `distance` to an edge, in meters, is positive, 0..1."""
    across = cv2.Sobel(distance, cv2.CV_32F, 1, 0, ksize=1, scale=0.5)
    down = cv2.Sobel(distance, cv2.CV_32F, 0, 1, ksize=1, scale=0.5)
    share: np.ndarray = np.clip(0.5 + distance / (cv2.magnitude(across, down) + np.float32(1e-6)), 0, 1)
    return share


def _lerp(color: np.ndarray, target: np.ndarray, share: np.ndarray) -> None:
    color += (target - color) * share[..., None]


def _asphalt(view: GroundView, rng: np.random.Generator) -> np.ndarray:
    """Returns the color of the bare road surface, (rows, W, 3) float32."""
    base = rng.uniform(84, 112) * np.array([1.0, 1.0, 1.02]) + rng.normal(0, 1.5, 3)
    tone = 1 + np.float32(0.07) * view.texture(70.0, 0.1, rng)
    tone += np.float32(0.035) * view.texture(9.0, 1.0, rng)
    tone += np.float32(0.045) * view.texture(8.0, 1.2, rng, stretch=16.0)  # wear runs along the lanes
    for _ in range(int(rng.integers(0, 5))):  # repaired patches
        middle_s, middle_t = rng.uniform(4, 45), rng.uniform(-6, 6)
        half_s, half_t = rng.uniform(0.6, 5), rng.uniform(0.4, 1.2)
        patch = band(view.s, middle_s, half_s, view.along) * band(view.t, middle_t, half_t, view.across)
        tone *= 1 + patch * np.float32(rng.uniform(-0.18, 0.08))
    for _ in range(int(rng.integers(0, 4))):  # manhole covers
        middle_s, middle_t = rng.uniform(5, 35), rng.uniform(-4, 4)
        away = np.hypot(view.s - np.float32(middle_s), view.t - np.float32(middle_t))
        tone *= 1 - np.float32(0.30) * np.clip((np.float32(0.33) - away) / (view.across + np.float32(0.01)), 0, 1)
    _cracks(view, tone, rng)
    asphalt: np.ndarray = tone[..., None] * base.astype(np.float32)
    return asphalt


def _cracks(view: GroundView, tone: np.ndarray, rng: np.random.Generator) -> None:
    """Darkens thin irregular lines: cracks, and the tar that fills them."""
    near = view.along[:, 0] < 0.35
    first = int(np.argmax(near))
    if not near.any():
        return
    s, t = view.s[first:], view.t[first:]
    for _ in range(int(rng.integers(0, 4)) - 1):
        lengthwise = rng.random() < 0.6
        position, across = (t, s) if lengthwise else (s, t)
        start, waves = rng.uniform(-3, 3) if lengthwise else rng.uniform(6, 16), rng.uniform(0.3, 1.2, 3)
        path = np.float32(start)
        for order, wave in enumerate(waves):
            path = path + np.float32(0.025 / (order + 1)) * np.sin(
                across * np.float32(wave * (2 * order + 1)) + np.float32(9 * wave)
            )
        footprint = view.across[first:] if lengthwise else view.along[first:]
        tone[first:] *= 1 - np.float32(rng.uniform(0.12, 0.3)) * band(
            position - path, 0.0, rng.uniform(0.004, 0.012), footprint
        )


def _paving(view: GroundView, behind: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns the color of the sidewalk with its curbstones, (rows, W, 3) float32."""
    base = rng.uniform(122, 152) * np.array([1.0, rng.uniform(0.94, 0.99), rng.uniform(0.86, 0.97)])
    slab_s, slab_t = float(rng.choice([0.3, 0.4, 0.6])), float(rng.choice([0.3, 0.5, 0.75]))
    tone = 1 + np.float32(0.05) * view.texture(60.0, 0.2, rng)
    tone += np.float32(0.06) * view.texture(6.0, 1.1, rng)
    joints = np.maximum(stripes(view.s, slab_s, 0.015, view.along), stripes(view.t, slab_t, 0.015, view.across))
    tone -= np.float32(0.24) * joints
    tone += np.where(behind < np.float32(0.16), np.float32(0.12), np.float32(0))  # curbstones are paler
    tone -= np.float32(0.3) * band(behind, 0.17, 0.015, np.maximum(view.across, np.float32(0.01))) * view.fade(0.05)
    paving: np.ndarray = tone[..., None] * base.astype(np.float32)
    return paving


def _grass_mask(stage: Stage, t: np.ndarray, behind: np.ndarray) -> np.ndarray:
    mask = np.zeros(t.shape, bool)
    for sign in (-1, 1):
        side = stage.street.side(sign)
        here = t * np.float32(sign) > 0
        if side.verge > 0:
            mask |= here & (behind > np.float32(0.18)) & (behind < np.float32(side.verge))
        if side.yard_is_grass:
            mask |= here & (behind > np.float32(side.verge + side.sidewalk))
    return mask


def _grass(view: GroundView, where: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns the color of grass (N, 3) at the pixels of a mask."""
    base = np.array([92.0, 112.0, 56.0]) * rng.uniform(0.85, 1.15) + np.array([rng.uniform(-8, 26), 0.0, 0.0])
    fine = view.texture(45.0, 0.3, rng)[where]
    coarse = view.texture(5.0, 1.2, rng)[where]
    tone = 1 + np.float32(0.16) * fine + np.float32(0.10) * coarse
    grass: np.ndarray = tone[:, None] * base.astype(np.float32)
    grass[:, 0] += np.float32(10) * coarse
    return grass

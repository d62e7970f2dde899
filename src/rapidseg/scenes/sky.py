"""The sky: clear or cloudy."""

from __future__ import annotations

import cv2
import numpy as np

from rapidseg.scenes.canvas import Label
from rapidseg.scenes.noise import TILE, cloud_tile, sample
from rapidseg.scenes.stage import Stage


def draw_sky(stage: Stage, rng: np.random.Generator) -> None:
    """Fills the image from its upper edge to the horizon."""
    camera, light = stage.camera, stage.light
    height, width = camera.size_hw
    bottom = min(max(int(camera.horizon_v) + 2, 1), height)
    step = 2 if width > 500 else 1  # clouds are soft: half the resolution is enough
    rows = np.arange(0, bottom, step, dtype=np.float32)[:, None]
    columns = np.arange(0, width, step, dtype=np.float32)[None, :]
    slope = np.maximum(camera.horizon_v - rows, 0).astype(np.float32) / np.float32(camera.focal_px)
    aside = (columns - np.float32(camera.center_u)) / np.float32(camera.focal_px)
    rise = 1 - np.exp(-slope[..., None] * 5.0)
    sky = np.broadcast_to(light.horizon + (light.zenith - light.horizon) * rise, (len(rows), columns.shape[1], 3))
    sky = sky.astype(np.float32)

    # Clouds are on a plane overhead, so they are denser near the horizon; the offset keeps them from becoming lines.
    away = 1 / (slope + np.float32(0.10))
    stretch = np.float32(rng.uniform(26, 48))
    offset = rng.uniform(0, TILE, 2).astype(np.float32)
    map_u = aside * away * stretch + offset[0]
    map_v = np.broadcast_to(away * stretch * np.float32(1.1) + offset[1], map_u.shape)
    tile = cloud_tile(1.7, 1)
    towards = light.sun[[0, 2]] / max(float(np.hypot(light.sun[0], light.sun[2])), 1e-6)
    density = sample(tile, map_u.astype(np.float32), np.ascontiguousarray(map_v))
    ahead = sample(
        tile,
        (map_u + np.float32(6 * towards[0])).astype(np.float32),
        np.ascontiguousarray(map_v + np.float32(6 * towards[1])),
    )
    if light.cloud_cover >= 0.9:  # overcast: only the thickness varies
        amount = light.horizon * (0.02 if light.weather in ("fog", "rain") else 0.05)
        sky += (density * np.minimum(slope * 8 + 0.15, 1))[..., None] * amount.astype(np.float32)
    else:
        threshold = np.float32(1.6 - 3.0 * light.cloud_cover)
        cover = np.clip((density - threshold) * np.float32(0.9), 0, 1)
        cover = cover * cover * (3 - 2 * cover)
        bright = np.clip(0.80 + 0.28 * (density - ahead) - 0.10 * np.maximum(density - threshold, 0), 0.45, 1.05)
        white = (light.horizon * 0.35 + np.array([250.0, 248.0, 244.0]) * 0.65).astype(np.float32)
        cloud = bright[..., None] * white
        sky += cover[..., None] * (cloud - sky)
    if light.sun_gain.max() > 0.3 and light.sun[2] > 0.2:  # a glow if the sun is near the image
        distance = np.hypot(aside - light.sun[0] / light.sun[2], slope - light.sun[1] / light.sun[2])
        glow = np.exp(-distance * 5.0).astype(np.float32)
        sky += glow[..., None] * (np.array([255.0, 240.0, 214.0], np.float32) - sky) * np.float32(0.9)
    full = cv2.resize(np.clip(sky, 0, 255), (width, bottom), interpolation=cv2.INTER_LINEAR)
    stage.canvas.image[:bottom] = full.astype(np.uint8)
    stage.canvas.label[:bottom] = Label.SKY

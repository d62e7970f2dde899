"""Effects on the whole image: reflections on wet roads, the hood, exposure, blur, vignetting and noise."""

from __future__ import annotations

import cv2
import numpy as np

from rapidseg.scenes.canvas import Label
from rapidseg.scenes.stage import Stage


def wet_the_road(stage: Stage, rng: np.random.Generator) -> None:
    """Adds reflections of objects above the horizon to a wet road, smeared downwards."""
    wetness = stage.light.wetness
    if wetness <= 0:
        return
    image = stage.canvas.image
    height, width = stage.camera.size_hw
    horizon = min(max(int(stage.camera.horizon_v), 1), height - 1)
    rows = height - horizon
    source = image[max(horizon - rows, 0) : horizon][::-1]
    small = cv2.resize(source, (max(width // 4, 1), max(rows // 8, 1)), interpolation=cv2.INTER_AREA)
    small = cv2.blur(small, (5, 9))
    mirrored = cv2.resize(small, (width, rows), interpolation=cv2.INTER_LINEAR)
    below = stage.canvas.label[horizon:]
    wet = ((below == Label.ROAD) | (below == Label.SIDEWALK)).astype(np.float32)
    puddles = cv2.resize(rng.random((8, 16)).astype(np.float32), (width, rows), interpolation=cv2.INTER_CUBIC)
    fade = np.linspace(1.0, 0.45, rows, dtype=np.float32)[:, None]
    share = wet * fade * np.clip(puddles, 0, 1) * np.float32(0.62 * wetness)
    view = image[horizon:]
    mixed = (
        view * (1 - share[..., None]) * np.float32(0.9)
        + mirrored * share[..., None]
        + (0.1 * (1 - wet))[..., None] * view
    )
    view[:] = np.clip(mixed, 0, 255).astype(np.uint8)


def draw_hood(stage: Stage, rng: np.random.Generator) -> None:
    """Draws the hood of the camera car along the lower edge; its label is ignored."""
    height, width = stage.camera.size_hw
    top = height * (1 - rng.uniform(0.05, 0.13))
    bow = height * rng.uniform(0.015, 0.05)
    columns = np.linspace(-0.02, 1.02, 60)
    edge = top + bow * (2 * columns - 1) ** 2 * 2 + height * 0.25 * np.maximum(np.abs(2 * columns - 1) - 0.92, 0) * 4
    outline = np.concatenate(
        [np.stack([columns * width, edge], axis=-1), [[width * 1.02, height + 2], [-width * 0.02, height + 2]]]
    )
    paint = np.array([[26.0, 27.0, 29.0], [70.0, 72.0, 76.0], [150.0, 152.0, 154.0], [36.0, 46.0, 74.0]])[
        rng.integers(4)
    ]
    gain = stage.light.gain(np.array([0.0, 1.0, 0.0]), float(stage.shade[-1, stage.shade.shape[1] // 2]))
    canvas = stage.canvas
    shades = [(0.0, 0.35), (0.004, 1.25), (0.02, 1.1), (0.05, 0.95), (0.09, 0.8)]
    for drop, tone in shades:
        points = np.rint((outline + np.array([0.0, drop * height])) * 16).astype(np.int32)
        color = np.clip((paint * 0.8 + stage.light.horizon * 0.16) * gain * tone, 0, 255)
        cv2.fillPoly(canvas.image, [points], tuple(float(value) for value in color), cv2.LINE_AA, 4)
    cv2.fillPoly(canvas.label, [np.rint(outline * 16).astype(np.int32)], int(Label.EGO_VEHICLE), cv2.LINE_8, 4)


def expose(stage: Stage, rng: np.random.Generator) -> None:
    """Applies exposure, white balance, contrast, blur, vignetting and noise to the image, in place."""
    image = stage.canvas.image
    height, width = image.shape[:2]
    mean = float(image[:: max(height // 64, 1), :: max(width // 64, 1)].mean())
    wanted = rng.uniform(62, 92) if stage.light.weather == "dusk" else rng.uniform(92, 132)
    exposure = float(np.clip(wanted / max(mean, 1.0), 0.8, 1.9))
    balance = 1 + rng.normal(0, 0.025, 3) * np.array([1.0, 0.4, 1.0])
    contrast = rng.uniform(0.0, 0.35)
    tones = np.arange(256)[:, None] * exposure * balance / 255
    tones = np.where(tones < 0.8, tones, 0.8 + 0.25 * (1 - np.exp(-(tones - 0.8) / 0.25)))  # highlights roll off
    curved = np.clip(tones, 0, 1)
    curved = curved * (1 - contrast) + contrast * curved * curved * (3 - 2 * curved)
    table = np.clip(curved * 255, 0, 255).astype(np.uint8)
    toned = cv2.LUT(image, np.ascontiguousarray(table[:, None, :]).reshape(1, 256, 3))

    sigma = rng.uniform(0.35, 0.9) * max(width / 2048, 0.5)
    toned = cv2.GaussianBlur(toned, (3, 3), sigma)
    dark_corners = rng.uniform(0.0, 0.22)
    aside = (np.arange(0, width + 15, 16, dtype=np.float32) / width - 0.5)[None, :]
    down = (np.arange(0, height + 15, 16, dtype=np.float32) / height - 0.5)[:, None] * (height / width)
    vignette = 1 - np.float32(dark_corners * 3) * (aside * aside + down * down)
    vignette = cv2.resize(vignette.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    grain = rng.standard_normal((height, width), dtype=np.float32) * np.float32(rng.uniform(1.0, 3.5))
    result = cv2.multiply(toned, cv2.merge([vignette] * 3), dtype=cv2.CV_32F)
    result += grain[..., None]
    chroma = rng.standard_normal((height // 2 + 1, width // 2 + 1), dtype=np.float32) * np.float32(
        rng.uniform(0.5, 1.8)
    )
    result[..., 0] += np.repeat(np.repeat(chroma, 2, axis=0), 2, axis=1)[:height, :width]
    stage.canvas.image[:] = np.clip(np.rint(result), 0, 255).astype(np.uint8)

"""Draws a labeled street scene."""

from __future__ import annotations

import numpy as np

from rapidseg.core.errors import InputError
from rapidseg.core.labels import CITYSCAPES
from rapidseg.core.sizes import SizeHW, format_size
from rapidseg.data.layouts.cityscapes import LABEL_IDS
from rapidseg.data.sample import Sample
from rapidseg.scenes.camera import Camera
from rapidseg.scenes.contents import Contents
from rapidseg.scenes.ground import draw_ground
from rapidseg.scenes.lens import draw_hood, expose, wet_the_road
from rapidseg.scenes.light import draw_light
from rapidseg.scenes.sky import draw_sky
from rapidseg.scenes.stage import Stage
from rapidseg.scenes.street import draw_street
from rapidseg.scenes.surroundings import place_surroundings
from rapidseg.scenes.traffic import place_traffic

DEFAULT_SIZE_HW = (1024, 2048)  # as in Cityscapes
_MIN_SIDE, _MAX_SIDE = 32, 8192

TRAIN_IDS = np.full(256, CITYSCAPES.ignore_index, np.uint8)  # train id of each label id
TRAIN_IDS[list(LABEL_IDS)] = np.arange(len(LABEL_IDS))


def draw_scene(seed: int, index: int, size_hw: SizeHW = DEFAULT_SIZE_HW) -> Sample:
    """Draws scene `index` of the series `seed`. The same arguments always give the same scene.

    Args:
        seed: 0 or more.
        index: 0 or more.
        size_hw: height and width in pixels, 32 to 8192 each.

    Returns:
        Image and label; the label holds the 19 train ids of `CITYSCAPES`, and 255 for ignored pixels.

    Raises:
        InputError: a size below 32 or above 8192, or a negative seed or index.
    """
    image, label_ids = draw_scene_with_label_ids(seed, index, size_hw)
    return Sample(image, TRAIN_IDS[label_ids], scene_name(index))


def scene_name(index: int) -> str:
    """Returns the name of a scene in the layout of Cityscapes: city, sequence and frame."""
    return f"synth/synth_{index:06d}_000019"


def check_scene(seed: int, index: int, size_hw: SizeHW) -> None:
    """Checks the arguments of `draw_scene`.

    Raises:
        InputError: a size below 32 or above 8192, or a negative seed or index.
    """
    if min(size_hw) < _MIN_SIDE or max(size_hw) > _MAX_SIDE:
        raise InputError(
            f"cannot draw a scene of {format_size(size_hw)} pixels; height and width must be {_MIN_SIDE} to {_MAX_SIDE}"
        )
    for name, value in (("seed", seed), ("index", index)):
        if value < 0:
            raise InputError(f"{name} is {value}, but must be 0 or more")


def draw_scene_with_label_ids(seed: int, index: int, size_hw: SizeHW) -> tuple[np.ndarray, np.ndarray]:
    """Returns image (H, W, 3) uint8 RGB and Cityscapes label ids (H, W) uint8 of a scene; see `draw_scene`."""
    check_scene(seed, index, size_hw)
    rng = np.random.default_rng((seed, index))
    light, street = draw_light(rng), draw_street(rng)
    stage = Stage(_draw_camera(size_hw, rng), street, light)
    contents = Contents()
    place_surroundings(contents, street, rng)
    place_traffic(contents, street, rng)
    stage.cast_shadows(contents.house_bodies, contents.object_bodies)
    stage.darken_feet(contents.footprints)
    draw_sky(stage, rng)
    draw_ground(stage, rng)
    contents.draw(stage)
    wet_the_road(stage, rng)
    if rng.random() < 0.3:
        draw_hood(stage, rng)
    expose(stage, rng)
    return stage.canvas.image, stage.canvas.label


def _draw_camera(size_hw: SizeHW, rng: np.random.Generator) -> Camera:
    height, width = size_hw
    # A wide image is a crop of a taller one: the angle of view depends on the width.
    return Camera(
        size_hw=size_hw,
        focal_px=float(width * rng.uniform(0.85, 1.15)),
        center_u=float(width * rng.uniform(0.47, 0.53)),
        horizon_v=float(height * rng.uniform(0.38, 0.50)),
        height_m=float(rng.uniform(1.2, 1.75)),
    )

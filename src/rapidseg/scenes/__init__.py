"""Labeled street scenes, drawn from a seed: data for trials and tests without a download.

    from rapidseg.scenes import draw_scene, write_dataset

    sample = draw_scene(seed=0, index=7)                    # image (1024, 2048, 3) uint8 RGB, label (1024, 2048) uint8
    write_dataset("data/synth", num_images=100)             # in the layout of Cityscapes

How a scene is drawn: `light` and `street` choose weather and street at random, `surroundings` and `traffic` place
objects in the street in meters, and the objects are drawn from far to near through a pinhole `camera` on a `canvas`,
which holds the image and the label map. Last, `lens` adds exposure, blur and noise.
"""

import numpy as np  # noqa: F401  # before OpenCV, as in `rapidseg.imaging`

from rapidseg.scenes.dataset_writing import WrittenScenes, write_dataset
from rapidseg.scenes.scene import DEFAULT_SIZE_HW, draw_scene

__all__ = ["DEFAULT_SIZE_HW", "WrittenScenes", "draw_scene", "write_dataset"]

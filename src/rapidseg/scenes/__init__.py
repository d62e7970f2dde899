"""Labeled street scenes, drawn from a seed: data to try everything with that nobody has to download.

    from rapidseg.scenes import draw_scene, write_dataset

    sample = draw_scene(seed=0, index=7)                    # image (1024, 2048, 3) uint8 RGB, label (1024, 2048) uint8
    write_dataset("data/synth", num_images=100)             # in the layout of Cityscapes

How a scene comes about: `light` and `street` are drawn at random, `surroundings` and `traffic` place things in the
street in meters, and the things are drawn from far to near through a pinhole `camera` on a `canvas`, a picture and a
label map in one. Last, `lens` adds what a real camera does to a picture.
"""

from rapidseg.scenes.dataset_writing import WrittenScenes, write_dataset
from rapidseg.scenes.scene import DEFAULT_SIZE_HW, draw_scene

__all__ = ["DEFAULT_SIZE_HW", "WrittenScenes", "draw_scene", "write_dataset"]

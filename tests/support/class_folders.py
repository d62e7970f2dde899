"""Small images of three colors, as a folder per class."""

from __future__ import annotations

import numpy as np

from rapidseg.imaging import write_image

COLORS = {"red": (200, 40, 40), "green": (40, 200, 40), "blue": (40, 40, 200)}


def write_classes(root, size_hw=(16, 16), train=16, val=5):
    """Writes noisy images, `train` and `val` of each class; returns the folder."""
    random = np.random.default_rng(0)
    for split, count in (("train", train), ("val", val)):
        for name, color in COLORS.items():
            for number in range(count):
                noise = random.normal(0, 40, (*size_hw, 3))
                image = np.clip(np.array(color) + noise, 0, 255).astype(np.uint8)
                write_image(root / split / name / f"{number}.png", image)
    return root

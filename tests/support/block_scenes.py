"""A data set that a tiny network can learn in seconds: flat blocks whose brightness tells their class."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from tests.support.data_folders import write_mask

CITY = "bonn"


def write_block_scenes(
    root: Path, train: int = 6, val: int = 3, *, labeled: bool = True, classes: Sequence[int] = range(19)
) -> Path:
    """Writes the Cityscapes layout with images of 96x128 pixels; without `labeled`, every pixel is ignored.

    Blocks of some of the 19 classes lie on class 0. The gray values of a class begin at 12 times its id and spread over
    30.
    """
    rng = np.random.default_rng(0)
    for split, count in (("train", train), ("val", val)):
        for index in range(count):
            label = np.zeros((96, 128), np.uint8)
            for _ in range(4):
                top, left = rng.integers(0, 70), rng.integers(0, 100)
                label[top : top + 30, left : left + 40] = classes[rng.integers(0, len(classes))]
            image = (label[..., None] * 12 + rng.integers(0, 30, (96, 128, 3))).astype(np.uint8)
            label[:5] = 255
            name = f"{CITY}/{CITY}_{index:06}_000000"
            path = root / "leftImg8bit" / split / f"{name}_leftImg8bit.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(path)
            mask = label if labeled else np.full_like(label, 255)
            write_mask(root / "gtFine" / split / f"{name}_gtFine_labelTrainIds.png", mask)
    return root

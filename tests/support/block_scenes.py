"""A data set that a tiny network learns in seconds: flat blocks whose brightness gives their class."""

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
    """Writes images of 96x128 pixels and their masks in the layout of Cityscapes.

    Images show blocks of some of the 19 classes on a background of class 0; the first one to learn from shows all
    classes. Gray values of a class are 12 * id to 12 * id + 29.

    Args:
        root: folder of the data set.
        train, val: number of images in each split.
        labeled: False marks every pixel as ignored.
        classes: ids of the classes of the blocks.
    """
    rng = np.random.default_rng(0)
    for split, count in (("train", train), ("val", val)):
        for index in range(count):
            label = np.zeros((96, 128), np.uint8)
            for _ in range(4):
                top, left = rng.integers(0, 70), rng.integers(0, 100)
                label[top : top + 30, left : left + 40] = classes[rng.integers(0, len(classes))]
            if split == "train" and index == 0 and len(classes) == 19:
                label[-4:, : 6 * 19] = np.repeat(classes, 6)  # every class has a pixel that can be learned
            image = (label[..., None] * 12 + rng.integers(0, 30, (96, 128, 3))).astype(np.uint8)
            label[:5] = 255
            name = f"{CITY}/{CITY}_{index:06}_000000"
            path = root / "leftImg8bit" / split / f"{name}_leftImg8bit.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(path)
            mask = label if labeled else np.full_like(label, 255)
            write_mask(root / "gtFine" / split / f"{name}_gtFine_labelTrainIds.png", mask)
    return root

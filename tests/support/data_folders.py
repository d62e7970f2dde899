"""Small data sets of real files, valid and broken."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

SIZE_HW = (12, 20)


def random_label(num_classes: int, seed: int = 0, size_hw: tuple[int, int] = SIZE_HW) -> np.ndarray:
    """Returns a label (H, W) uint8 that contains every class; the first pixels are 0, 1, 2, ..."""
    label = np.random.default_rng(seed).integers(0, num_classes, size_hw).astype(np.uint8)
    label.ravel()[:num_classes] = np.arange(num_classes)
    return label


def write_image(path: Path, size_hw: tuple[int, int] = SIZE_HW, seed: int = 0) -> Path:
    """Writes an RGB image of noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (*size_hw, 3)).astype(np.uint8)).save(path)
    return path


def write_mask(path: Path, mask: np.ndarray) -> Path:
    """Writes a mask of ids (H, W) or colors (H, W, 3), in the format of the suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(mask).save(path)
    return path


def write_camvid(root: Path, splits: tuple[str, ...] = ("train", "val"), count: int = 3) -> Path:
    """Writes images 000.png, 001.png, ... and their masks in the folders of CamVid."""
    for first_seed, split in zip(range(0, 1000, 100), splits, strict=False):  # no image is in two splits
        for index in range(count):
            write_image(root / split / f"{index:03}.png", seed=first_seed + index)
            write_mask(root / f"{split}annot" / f"{index:03}.png", random_label(12, seed=first_seed + index))
    return root


def write_cityscapes(
    root: Path, mask: np.ndarray, suffix: str, name: str = "bonn/bonn_0", split: str = "train"
) -> Path:
    """Writes an image and its mask, whose name ends in `suffix`, such as `labelIds`, in the folders of Cityscapes."""
    write_image(root / "leftImg8bit" / split / f"{name}_leftImg8bit.png")
    write_mask(root / "gtFine" / split / f"{name}_gtFine_{suffix}.png", mask)
    return root


def write_yaml_dataset(root: Path, text: str, masks: dict[str, np.ndarray], split: str = "train") -> Path:
    """Writes `images/SPLIT/*.png`, `masks/SPLIT/*.png`, and `data.yaml` with `text` and the split."""
    for seed, (name, mask) in enumerate(masks.items()):
        write_image(root / "images" / split / f"{name}.png", seed=seed)
        write_mask(root / "masks" / split / f"{name}.png", mask)
    folders = f"{{images: images/{split}, masks: masks/{split}}}"
    path = root / "data.yaml"
    path.write_text(f"{text}\nsplits:\n  {split}: {folders}\n")
    return path


def cut(path: Path) -> None:
    """Truncates a file to its first half."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])

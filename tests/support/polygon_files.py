"""Polygon files in the format of Cityscapes, with all special cases of drawing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from rapidseg.core.cityscapes_labels import CITYSCAPES_LABELS

SIZE_HW = (96, 192)


def polygon(label: str, corners: list, deleted: object = 0) -> dict:
    """Returns an object as in a polygon file."""
    fields = {"id": 0, "verified": 1, "user": "somebody", "date": "01-Jan-2016 00:00:00"}
    return {**fields, "label": label, "polygon": corners, "deleted": deleted}


def box(label: str, left: float, top: float, right: float, bottom: float, deleted: object = 0) -> dict:
    """Returns a rectangular object."""
    return polygon(label, [[left, top], [right, top], [right, bottom], [left, bottom]], deleted)


def blob(rng: np.random.Generator, label: str, size_hw: tuple[int, int]) -> dict:
    """Returns an object of 3 to 40 corners, some of which may be outside of the image."""
    height, width = size_hw
    angles = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 41)))
    radii = rng.uniform(0.5, 1, len(angles)) * rng.uniform(1, height / 2)
    x = rng.uniform(0, width) + 1.5 * radii * np.cos(angles)
    y = rng.uniform(0, height) + radii * np.sin(angles)
    corners = np.stack([x, y], axis=1)
    return polygon(label, corners.tolist() if rng.random() < 0.2 else corners.astype(int).tolist())


def street(seed: int, size_hw: tuple[int, int] = SIZE_HW) -> list[dict]:
    """Returns objects of every label, single and as groups, in random order, and all special cases."""
    rng = np.random.default_rng(seed)
    height, width = size_hw
    names = [label.name for label in CITYSCAPES_LABELS]
    names += [f"{name}group" for name in names] + ["person", "car", "cargroup", "car", "bicycle"] * 3
    objects = [box("sky", 0, 0, width, height // 2), box("road", -5, height // 2, width + 40, height + 9)]
    objects += [blob(rng, str(name), size_hw) for name in rng.permutation(names)]
    hole = [box("fence", 20, 20, 60, 60), box("building", 30, 30, 50, 50)]  # a hole is another object on top
    tiny = [
        polygon("pole", [[5, 5], [5, 40]]),  # a line
        polygon("traffic sign", [[100, 7], [100, 7]]),  # a dot
        polygon("person", [[150, 10], [151, 10], [150, 11]]),
        polygon("bicycle", [[70, 10], [90, 30], [90, 10], [70, 30]]),  # crosses itself
    ]
    unseen = [
        box("car", -90, -90, -10, -10),  # outside of the image, but counted as a car
        box("truck", 0, 0, width, height, deleted=1),
        polygon("bus", [], deleted=1),
        polygon("license plate", []),
        box("license plate", 10, 10, 30, 20),
        polygon("license plategroup", [[1, 1]]),
    ]
    order = rng.permutation(len(objects))
    frame = [
        box("rectification border", -1, -1, 3, height),
        box("out of roi", 0, 0, width, 4),
        polygon("ego vehicle", [[0, height - 1], [width // 2, height - 12.5], [width - 1, height - 1]]),
    ]
    return [*(objects[index] for index in order), *hole, *tiny, *unseen, blob(rng, "car", size_hw), *frame]


def write_polygons(
    root: Path,
    objects: list[dict],
    name: str = "ulm/ulm_000000_000019",
    *,
    folder: str = "gtFine",
    split: str = "train",
    size_hw: tuple[int, int] = SIZE_HW,
) -> Path:
    """Writes the polygon file of an image in the folders of Cityscapes."""
    path = root / folder / split / f"{name}_{folder}_polygons.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"imgHeight": size_hw[0], "imgWidth": size_hw[1], "objects": objects}))
    return path

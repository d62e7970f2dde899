"""A folder with all that the documentation's examples name: photos, a video, labeled images, weights and models."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from rapidseg.exporting import precisions, verification
from rapidseg.imaging import read_image, resize_image, write_image
from rapidseg.recipes import recipe_file
from rapidseg.runtime.model_file import SAMPLE_IMAGE
from tests.support.data_folders import write_mask
from tests.support.traces import traced_once

CLASSES = ("road", "sidewalk", "vehicle", "person")
DESCRIPTION = f"""\
classes: [{", ".join(CLASSES)}]
splits:
  train: {{images: images/train, masks: masks/train}}
  val: {{images: images/val, masks: masks/val}}
"""
# Pages train `my-streets.yaml` as a reader would. Here that takes a second: a quarter of the channels, small crops.
SMALL_RECIPE = """\
extends: own-data
data:
  workers: 0
  augmentation: {crop_size: [96, 128]}
model:
  options: {width: 0.25}
batch_size: 4
"""


@pytest.fixture(scope="package", autouse=True)
def small_work(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """For these tests, replaces the recipe for data descriptions and the images on which exports are verified."""
    path = tmp_path_factory.mktemp("recipe") / "small.yaml"
    path.write_text(SMALL_RECIPE, encoding="utf-8")
    photo = resize_image(read_image(SAMPLE_IMAGE), (90, 120))
    with pytest.MonkeyPatch.context() as patch, traced_once():
        patch.setattr(recipe_file, "OWN_DATA", str(path))
        patch.setattr(verification, "CHECK_SIZES", ((97, 161),))
        patch.setattr(precisions, "street_scenes", lambda: (photo,))
        yield


@pytest.fixture(scope="package")
def example_files(small_work: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder, made once; tests work on copies of it."""
    import rapidseg

    root = tmp_path_factory.mktemp("examples")
    photo = resize_image(read_image(SAMPLE_IMAGE), (180, 240))
    for name in ("photo.jpg", "photos/first.jpg", "photos/second.jpg", "more/night/third.png"):
        write_image(root / name, photo)
    _write_video(root / "drive.mp4", photo)
    _write_streets(root)
    once = {"evaluate_every": 60}
    run = rapidseg.train(root / "my-streets.yaml", overrides=once, iterations=60, output=root / "runs/first")
    (root / "best.safetensors").write_bytes(Path(run.best_weights).read_bytes())
    rapidseg.export(root / "best.safetensors", root / "model.onnx")
    return root


def _write_video(path: Path, photo: np.ndarray) -> None:
    height, width = photo.shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 10, (width, height))
    for shift in range(6):
        writer.write(np.roll(photo, 4 * shift, axis=1)[:, :, ::-1])
    writer.release()


def _write_streets(root: Path) -> None:
    """Writes `my-streets.yaml` and its images: blocks of four classes, told apart by their brightness."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 8), ("val", 4)):
        for index in range(count):
            label = np.zeros((96, 128), np.uint8)
            for _ in range(4):
                top, left = rng.integers(0, 70), rng.integers(0, 100)
                label[top : top + 30, left : left + 40] = rng.integers(0, len(CLASSES))
            image = (label[..., None] * 60 + rng.integers(0, 30, (96, 128, 3))).astype(np.uint8)
            path = root / "images" / split / f"{index:03}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(path)
            write_mask(root / "masks" / split / f"{index:03}.png", label)
    (root / "my-streets.yaml").write_text(DESCRIPTION, encoding="utf-8")

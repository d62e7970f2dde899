"""Small pictures of images, labels and predictions, as text that stands in the page itself."""

from __future__ import annotations

import base64
import bisect
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from rapidseg.core.errors import RapidSegError
from rapidseg.core.labels import LabelSet
from rapidseg.data import Dataset, Sample, open_dataset
from rapidseg.evaluation.evaluate import LabeledImage
from rapidseg.evaluation.report.run import Run
from rapidseg.evaluation.saving import prediction_path
from rapidseg.imaging import read_mask, resize_image
from rapidseg.metrics import ConfusionMatrix

MAX_SIDE = 480  # pixels; three pictures then take about 50 KB


@dataclass(frozen=True)
class Panel:
    """One picture: what it shows, and the picture itself as a `data:` address."""

    caption: str
    address: str


@dataclass(frozen=True)
class Row:
    """Pictures of one image of a data set, side by side, with its name and its figures in words."""

    name: str
    note: str
    panels: tuple[Panel, ...]


class ExtremeImages:
    """An observer of `evaluate` that keeps pictures of the worst and the best images.

    It holds no more than it shows, so memory does not grow with the data set.
    """

    def __init__(self, labels: LabelSet, count: int) -> None:
        """Starts with none.

        Args:
            labels: the data set's classes.
            count: how many of the worst to keep, and how many of the best.
        """
        self._labels = labels
        self._count = count
        self._kept: list[tuple[float, Row]] = []  # by mean IoU, from low to high

    def __call__(self, sample: LabeledImage, class_map: np.ndarray) -> None:
        matrix = ConfusionMatrix(self._labels.num_classes, self._labels.ignore_index)
        matrix.update(class_map, sample.label)
        mean_iou = matrix.scores().mean_iou
        if np.isnan(mean_iou):
            return
        place = bisect.bisect_right([kept for kept, _ in self._kept], mean_iou)
        if place == self._count and len(self._kept) == 2 * self._count:
            return  # it lies between the worst and the best
        row = Row(sample.name, f"mIoU {mean_iou:.3f}", draw_panels(sample, {"prediction": class_map}, self._labels))
        self._kept.insert(place, (mean_iou, row))
        if len(self._kept) > 2 * self._count:
            del self._kept[self._count]

    @property
    def worst(self) -> list[Row]:
        """From the lowest mean IoU up; not more than half of the images seen."""
        return [row for _, row in self._kept[: -(-len(self._kept) // 2)]]

    @property
    def best(self) -> list[Row]:
        """From the highest mean IoU down; none that is among the worst."""
        return [row for _, row in self._kept[-(-len(self._kept) // 2) :]][::-1]


class SavedImages:
    """Pictures from the folders in which runs saved their predictions, and from their data set.

    What is no longer there is left out.
    """

    def __init__(self, runs: dict[str, Run]) -> None:
        """Looks for the files.

        Args:
            runs: what to call the predictions of each run; all are of the same data.
        """
        self._runs = {caption: run for caption, run in runs.items() if run.saved is not None}
        first = next(iter(runs.values()))
        self._labels = first.labels
        self._places = {image.name: place for place, image in enumerate(first.images)}
        self._dataset = _reopen(first)

    def rows(self, notes: Mapping[str, str]) -> list[Row]:
        """Returns the pictures of those images, given by name with their figures in words, that are still there."""
        rows = (Row(name, note, self._panels(name)) for name, note in notes.items())
        return [row for row in rows if row.panels]

    def _panels(self, name: str) -> tuple[Panel, ...]:
        try:
            predictions = {
                caption: read_mask(prediction_path(Path(run.saved or ""), name)) for caption, run in self._runs.items()
            }
            sample = None if self._dataset is None else self._dataset[self._places[name]]
        except RapidSegError:  # moved or changed since the run
            return ()
        if not predictions or (sample is not None and sample.name != name):
            return ()
        return draw_panels(sample, predictions, self._labels)


def draw_panels(
    sample: Sample | LabeledImage | None, predictions: dict[str, np.ndarray], labels: LabelSet
) -> tuple[Panel, ...]:
    """Draws an image, its label and its predictions.

    Args:
        sample: the image with its label, or None where they are not at hand.
        predictions: class maps, (H, W) uint8, by what to call them.
        labels: gives the colors; ignored pixels are black.
    """
    panels = []
    if sample is not None:
        panels = [Panel("image", _jpeg(sample.image)), Panel("label", _png(sample.label, labels))]
    panels += [Panel(caption, _png(class_map, labels)) for caption, class_map in predictions.items()]
    return tuple(panels)


def _reopen(run: Run) -> Dataset | None:
    try:
        dataset = open_dataset(run.data, run.root, run.split)
    except RapidSegError:
        return None
    return dataset if len(dataset) == len(run.images) else None


def _jpeg(image: np.ndarray) -> str:
    height, width = _small_hw(image)
    return _address(Image.fromarray(np.ascontiguousarray(resize_image(image, (height, width)))), "jpeg", quality=80)


def _png(class_map: np.ndarray, labels: LabelSet) -> str:
    """Class maps are small as PNG, and JPEG would blur the colors of neighbors into others."""
    height, width = _small_hw(class_map)
    small = cv2.resize(class_map, (width, height), interpolation=cv2.INTER_NEAREST)
    picture = Image.fromarray(small)
    picture.putpalette(labels.palette_array().tobytes())
    return _address(picture, "png", optimize=True)


def _small_hw(pixels: np.ndarray) -> tuple[int, int]:
    height, width = pixels.shape[:2]
    scale = min(1, MAX_SIDE / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def _address(picture: Image.Image, kind: str, **options: Any) -> str:
    content = io.BytesIO()
    picture.save(content, kind.upper(), **options)
    return f"data:image/{kind};base64,{base64.b64encode(content.getvalue()).decode()}"

"""Small pictures of images, labels and predictions, embedded in the page as text."""

from __future__ import annotations

import base64
import bisect
import io
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from rapidseg.core.errors import RapidSegError
from rapidseg.core.labels import LabelSet
from rapidseg.data import Dataset, Sample, open_dataset
from rapidseg.evaluation.prediction_writer import prediction_path
from rapidseg.evaluation.report.evaluation_run import Run
from rapidseg.evaluation.scoring import ImageScore, LabeledImage
from rapidseg.imaging import read_mask, resize_image

MAX_SIDE = 480  # pixels; three pictures then take about 50 KB


@dataclass(frozen=True)
class Panel:
    """A picture with its caption.

    Attributes:
        caption: what it shows.
        pixels: (h, w, 3) uint8 RGB, or (h, w) uint8 class ids.
        palette: (256, 3) uint8 RGB, the colors of class ids.
    """

    caption: str
    pixels: np.ndarray
    palette: np.ndarray

    @cached_property
    def address(self) -> str:
        """The picture as a `data:` URL: a JPEG of an image, a PNG of class ids."""
        picture = Image.fromarray(self.pixels)
        if self.pixels.ndim == 3:
            return _data_url(picture, "jpeg", quality=80)
        picture.putpalette(self.palette.tobytes())  # JPEG would blur the colors of neighbors into others
        return _data_url(picture, "png", optimize=True)


@dataclass(frozen=True)
class Row:
    """Pictures of an image of a data set, side by side, with its name and its scores as text."""

    name: str
    note: str
    panels: tuple[Panel, ...]


class ExtremeImages:
    """An observer of `score` that keeps small pictures of the worst and the best images.

    It keeps only what it shows, so memory does not grow with the data set.
    """

    def __init__(self, labels: LabelSet, count: int) -> None:
        """Starts with no pictures.

        Args:
            labels: the data set's classes.
            count: how many of the worst images to keep, and how many of the best.
        """
        self._labels = labels
        self._count = count
        self._kept: list[tuple[float, Row]] = []  # by mean IoU, from low to high

    def __call__(self, sample: LabeledImage, class_map: np.ndarray, score: ImageScore) -> None:
        """Keeps the image's pictures if it is among the worst or the best so far."""
        if np.isnan(score.mean_iou):
            return
        index = bisect.bisect_right([mean_iou for mean_iou, _ in self._kept], score.mean_iou)
        if index == self._count and len(self._kept) == 2 * self._count:
            return  # it lies between the worst and the best
        panels = draw_panels(sample, {"prediction": class_map}, self._labels)
        self._kept.insert(index, (score.mean_iou, Row(sample.name, f"mIoU {score.mean_iou:.3f}", panels)))
        if len(self._kept) > 2 * self._count:
            del self._kept[self._count]

    @property
    def worst(self) -> list[Row]:
        """From the lowest mean IoU up; at most half of the images seen."""
        return [row for _, row in self._kept[: -(-len(self._kept) // 2)]]

    @property
    def best(self) -> list[Row]:
        """From the highest mean IoU down; never an image that is among the worst."""
        return [row for _, row in self._kept[-(-len(self._kept) // 2) :]][::-1]


class SavedImages:
    """Pictures from the folders in which runs saved their predictions, and from their data set.

    Images whose files are gone or have changed since are skipped.
    """

    def __init__(self, runs: dict[str, Run]) -> None:
        """Opens the data set, if it is still there.

        Args:
            runs: the runs by the captions of their predictions; all are on the same data.
        """
        self._runs = {caption: run for caption, run in runs.items() if run.saved is not None}
        first = next(iter(runs.values()))
        self._labels = first.labels
        self._indices = {image.name: index for index, image in enumerate(first.images)}
        self._dataset = _reopen(first)

    def rows(self, notes: Mapping[str, str]) -> list[Row]:
        """Returns the pictures of the images that are still there; `notes` are texts by the images' names."""
        rows = (Row(name, note, self._panels(name)) for name, note in notes.items())
        return [row for row in rows if row.panels]

    def _panels(self, name: str) -> tuple[Panel, ...]:
        try:
            predictions = {
                caption: read_mask(prediction_path(Path(run.saved or ""), name)) for caption, run in self._runs.items()
            }
            sample = None if self._dataset is None else self._dataset[self._indices[name]]
        except RapidSegError:  # moved or changed since the run
            return ()
        if not predictions or (sample is not None and sample.name != name):
            return ()
        return draw_panels(sample, predictions, self._labels)


def draw_panels(
    sample: Sample | LabeledImage | None, predictions: dict[str, np.ndarray], labels: LabelSet
) -> tuple[Panel, ...]:
    """Makes small pictures of an image, its label and its predictions.

    Args:
        sample: the image with its label; None where they are not available.
        predictions: class maps, (H, W) uint8, by their captions.
        labels: the classes with their colors; ignored pixels are black.
    """
    palette = labels.palette_array()
    class_maps = dict(predictions) if sample is None else {"label": sample.label, **predictions}
    panels = [Panel(caption, _shrink_class_map(class_map), palette) for caption, class_map in class_maps.items()]
    if sample is not None:
        small = np.array(resize_image(sample.image, _small_hw(sample.image)))  # a copy
        panels.insert(0, Panel("image", small, palette))
    return tuple(panels)


def _reopen(run: Run) -> Dataset | None:
    try:
        dataset = open_dataset(run.data, run.root, run.split)
    except RapidSegError:
        return None
    return dataset if len(dataset) == len(run.images) else None


def _shrink_class_map(class_map: np.ndarray) -> np.ndarray:
    height, width = _small_hw(class_map)
    small: np.ndarray = cv2.resize(class_map, (width, height), interpolation=cv2.INTER_NEAREST)
    return small


def _small_hw(pixels: np.ndarray) -> tuple[int, int]:
    height, width = pixels.shape[:2]
    scale = min(1, MAX_SIDE / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def _data_url(picture: Image.Image, kind: str, **options: Any) -> str:
    content = io.BytesIO()
    picture.save(content, kind.upper(), **options)
    return f"data:image/{kind};base64,{base64.b64encode(content.getvalue()).decode()}"

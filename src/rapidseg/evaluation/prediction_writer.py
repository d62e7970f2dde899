"""`PredictionWriter`: saves predictions as PNGs, to look at and for reports."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from rapidseg.core.errors import InputError
from rapidseg.data import Dataset
from rapidseg.evaluation.scoring import ImageScore, LabeledImage
from rapidseg.imaging import write_class_map


class PredictionWriter:
    """An observer of `score` that writes each class map as `FOLDER/NAME.png`: class ids with the classes' colors.

    NAME is the sample's name in its data set, which may contain folders: `aachen/aachen_000000_000019`.
    """

    def __init__(self, folder: str | os.PathLike[str], dataset: Dataset) -> None:
        """Checks the names; writes nothing.

        Args:
            folder: where to write; created with the first prediction.
            dataset: the data set that will be predicted.

        Raises:
            InputError: two samples have the same name, or a file would replace an image or a mask.
        """
        self.folder = Path(folder)
        self._palette = dataset.labels.palette_array()
        paths = set()
        for index in range(len(dataset)):
            path = prediction_path(self.folder, dataset.sample_name(index))
            if path in paths:
                raise InputError(
                    f"{dataset.split} contains two images named {dataset.sample_name(index)}, whose predictions would "
                    "overwrite each other; save the predictions of one split at a time"
                )
            paths.add(path)
            for source in (dataset.image_path(index), dataset.label_path(index)):
                if os.path.realpath(path) == os.path.realpath(source):
                    raise InputError(f"{path} belongs to the data set and would be overwritten; save to another folder")

    def __call__(self, sample: LabeledImage, class_map: np.ndarray, score: ImageScore) -> None:
        """Writes a class map, (H, W) uint8, completely or not at all.

        Raises:
            RapidSegError: the file cannot be written.
        """
        write_class_map(prediction_path(self.folder, sample.name), class_map, self._palette)


def prediction_path(folder: Path, name: str) -> Path:
    """Returns the path of a sample's prediction in a folder."""
    return folder / f"{name}.png"

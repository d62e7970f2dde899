"""`PredictionWriter`: keeps what was predicted, for a look at it and for reports."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from rapidseg.core.errors import InputError
from rapidseg.data import Dataset
from rapidseg.evaluation.evaluate import LabeledImage
from rapidseg.imaging import write_class_map


class PredictionWriter:
    """An observer of `evaluate` that writes each class map as `FOLDER/NAME.png`: class ids with the classes' colors.

    NAME is the sample's name in its data set, which may have folders in it: `aachen/aachen_000000_000019`.
    """

    def __init__(self, folder: str | os.PathLike[str], dataset: Dataset) -> None:
        """Checks the names; writes nothing.

        Args:
            folder: where to write; need not exist.
            dataset: what will be predicted.

        Raises:
            InputError: two samples have the same name, or a file would take the place of an image or a mask.
        """
        self.folder = Path(folder)
        self._palette = dataset.labels.palette_array()
        taken = set()
        for index in range(len(dataset)):
            path = prediction_path(self.folder, dataset.sample_name(index))
            if path in taken:
                raise InputError(
                    f"{dataset.split} holds two images called {dataset.sample_name(index)}, whose predictions would "
                    "take each other's place; save the predictions of one split at a time"
                )
            taken.add(path)
            for source in (dataset.image_path(index), dataset.label_path(index)):
                if os.path.realpath(path) == os.path.realpath(source):
                    raise InputError(f"{path} belongs to the data set and would be overwritten; save to another folder")

    def __call__(self, sample: LabeledImage, class_map: np.ndarray) -> None:
        """Writes one class map, (H, W) uint8, whole or not at all.

        Raises:
            RapidSegError: the file cannot be written.
        """
        write_class_map(prediction_path(self.folder, sample.name), class_map, self._palette)


def prediction_path(folder: Path, name: str) -> Path:
    """Returns where the prediction of a sample is kept in a folder."""
    return folder / f"{name}.png"

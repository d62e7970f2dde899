"""`PredictionWriter`: saves predictions as PNGs, to look at and for reports."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from rapidseg.core.errors import InputError
from rapidseg.core.output_paths import check_derived_files, check_output_folder, path_below
from rapidseg.data import Dataset
from rapidseg.evaluation.scoring import ImageScore, LabeledImage
from rapidseg.imaging import is_own_picture, write_class_map


class PredictionWriter:
    """An observer of `score` that writes each class map as `FOLDER/NAME.png`: class ids with the classes' colors.

    NAME is the sample's name in its data set, which may contain folders: `aachen/aachen_000000_000019`. `..` in it,
    from lists of files, never leads out of the folder.
    """

    def __init__(self, folder: str | os.PathLike[str], dataset: Dataset) -> None:
        """Checks the names; writes nothing.

        Args:
            folder: where to write; created with the first prediction.
            dataset: the data set that will be predicted.

        Raises:
            InputError: two samples have the same name; or a file would replace an image or a mask, replace a file
                that is not a prediction, or be outside of the folder because of a link.
            RapidSegError: the folder cannot be written to.
        """
        self.folder = check_output_folder(folder)
        self._palette = dataset.labels.palette_array()
        indices = range(len(dataset))
        sources = {
            os.path.realpath(path(index)) for index in indices for path in (dataset.image_path, dataset.label_path)
        }
        names: dict[str, str] = {}
        for index in indices:
            name = dataset.sample_name(index)
            path = prediction_path(self.folder, name)
            key = os.path.normcase(path)
            if key in names:
                twin = names[key]
                names_both = f"images named {name}" if twin == name else f"images, {twin} and {name}"
                raise InputError(
                    f"{dataset.split} contains two {names_both}, whose predictions would overwrite each other; save "
                    "the predictions of one split at a time, or give the images names of their own"
                )
            names[key] = name
            if os.path.realpath(path) in sources:
                raise InputError(f"{path} belongs to the data set and would be overwritten; save to another folder")
        paths = (prediction_path(self.folder, name) for name in names.values())
        check_derived_files(self.folder, paths, is_ours=is_own_picture)

    def __call__(self, sample: LabeledImage, class_map: np.ndarray, score: ImageScore) -> None:
        """Writes a class map, (H, W) uint8, completely or not at all.

        Raises:
            RapidSegError: the file cannot be written.
        """
        write_class_map(prediction_path(self.folder, sample.name), class_map, self._palette)


def prediction_path(folder: Path, name: str) -> Path:
    """Returns the path of a sample's prediction, which is below the folder whatever the name."""
    return path_below(folder, name, ".png")

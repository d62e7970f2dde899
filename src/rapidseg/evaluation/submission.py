"""`SubmissionWriter`: predictions in the form that the Cityscapes benchmark accepts."""

from __future__ import annotations

import os
import re

import numpy as np

from rapidseg.core.cityscapes_labels import CITYSCAPES_CLASSES
from rapidseg.core.errors import InputError
from rapidseg.core.files import check_output_folder, create_folder
from rapidseg.core.labels import CITYSCAPES, LabelSet
from rapidseg.evaluation.scoring import ImageScore, LabeledImage
from rapidseg.imaging import is_own_picture, write_image

SUFFIX = "_pred_labelIds.png"

_LABEL_IDS = np.array([label.id for label in CITYSCAPES_CLASSES], np.uint8)  # of each class


class SubmissionWriter:
    """An observer of `score` that writes each class map as a PNG of label ids, for the benchmark's server.

    The files are named `CITY_SEQUENCE_FRAME_pred_labelIds.png`: `getPrediction` in `evalPixelLevelSemanticLabeling.py`
    of cityscapesScripts finds the prediction of an image by the part before `_pred`.
    """

    def __init__(self, folder: str | os.PathLike[str], labels: LabelSet) -> None:
        """Creates the folder.

        Args:
            folder: where to write; predictions of an earlier submission are replaced.
            labels: the data set's classes.

        Raises:
            InputError: the classes are not those of Cityscapes, or the folder contains PNGs that RapidSeg did not
                write as a submission.
            RapidSegError: the folder cannot be created.
        """
        if labels.names != CITYSCAPES.names:
            raise InputError(
                "a submission consists of label ids of Cityscapes, so it can be written for its 19 classes only; this "
                f"data set has {labels.num_classes} classes ({', '.join(labels.names)})"
            )
        self.folder = check_output_folder(folder)
        self._written: dict[str, str] = {}  # names of samples by the names of their files
        # A hidden file may be what a killed process left.
        pictures = (path for path in self.folder.rglob("*.png") if not path.name.startswith("."))
        foreign = next((path for path in pictures if not (path.name.endswith(SUFFIX) and is_own_picture(path))), None)
        if foreign is not None:
            raise InputError(
                f"{self.folder} contains other PNGs, such as {foreign.name}, which the official evaluation would "
                "read as predictions; choose an empty folder for the submission"
            )
        create_folder(self.folder)

    @property
    def num_written(self) -> int:
        return len(self._written)

    def __call__(self, sample: LabeledImage, class_map: np.ndarray, score: ImageScore) -> None:
        """Writes a class map.

        Args:
            sample: the image that was predicted; its name is that of its file, such as `ulm/ulm_000000_000019`.
            class_map: (H, W) integers, train ids from 0 to 18.
            score: is not used.

        Raises:
            InputError: the image is not named like those of Cityscapes or as another one of the data set, or the class
                map contains another value.
            RapidSegError: the file cannot be written.
        """
        core = sample.name.rpartition("/")[2]
        if not re.fullmatch(r"[^_]+_[^_]+_[^_]+", core):
            raise InputError(
                f"{sample.name}: a submission needs images that are named CITY_SEQUENCE_FRAME, "
                "such as ulm_000000_000019; the benchmark finds predictions by these names"
            )
        if class_map.size and int(class_map.max()) >= len(_LABEL_IDS):
            raise InputError(
                f"{sample.name}: the prediction contains class {class_map.max()}; "
                f"0 to {len(_LABEL_IDS) - 1} are allowed"
            )
        if core in self._written:
            raise InputError(
                f"{self._written[core]} and {sample.name} have the same name in a submission, {core}{SUFFIX}; submit "
                "them one at a time"
            )
        self._written[core] = sample.name
        write_image(self.folder / f"{core}{SUFFIX}", _LABEL_IDS[class_map])

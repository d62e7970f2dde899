"""Mean IoU of a model file on a validation split, by the scorer that `rapidseg eval` uses."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

from rapidseg.core.errors import InputError
from rapidseg.core.spec import ModelSpec, Score
from rapidseg.data import Dataset
from rapidseg.evaluation import class_mapping_between, evaluate
from rapidseg.exporting.precisions import WorkingSize, open_in_openvino

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""


class Scorer:
    """Scores files of one network on one data set, in OpenVINO with what is not INT8 in float32."""

    def __init__(
        self,
        spec: ModelSpec,
        dataset: Dataset,
        input_size: WorkingSize,
        progress: Progress,
    ) -> None:
        """Finds out how the classes of the network count as those of the data.

        Args:
            spec: what the files say about themselves.
            dataset: labeled images.
            input_size: as for a call of `Segmenter`.
            progress: called after each image.

        Raises:
            InputError: the classes differ, and no mapping between them is known.
        """
        self._spec = spec
        self._dataset = dataset
        self._input_size = input_size
        self._progress = progress
        self._mapping = class_mapping_between(spec.labels, dataset.labels)

    def __call__(self, path: Path, doing: str) -> Score:
        """Scores a file; `doing` says to the progress what this is.

        Raises:
            InputError: there is no labeled pixel.
        """
        segmenter = open_in_openvino(path, self._spec, "float32")
        evaluation = evaluate(
            lambda image: segmenter(image, input_size=self._input_size).class_map,
            self._dataset,
            class_mapping=None if self._mapping is None else self._mapping[1],
            progress=lambda done, total: self._progress(doing, done, total),
        )
        scores = evaluation.scores
        if math.isnan(scores.mean_iou):
            raise InputError(
                f"{self._dataset.name} {self._dataset.split}: no pixel is labeled, so mean IoU cannot be measured; "
                "give a split with labels"
            )
        return Score(
            dataset=self._dataset.name,
            split=self._dataset.split,
            mean_iou=scores.mean_iou,
            mean_accuracy=scores.mean_accuracy,
            pixel_accuracy=scores.pixel_accuracy,
            protocol=self._protocol(),
        )

    def _protocol(self) -> str:
        words = ["whole image, single scale"]
        if isinstance(self._input_size, int):
            words.append(f"short side resized to {self._input_size} pixels")
        elif self._input_size is not None:
            words.append(f"resized to {self._input_size[0]}x{self._input_size[1]} pixels")
        if self._mapping is not None:
            words.append(f"classes counted by {self._mapping[0]}")
        return ", ".join(words)

"""Mean IoU of a model file on a validation split, computed as `rapidseg eval` does."""

from __future__ import annotations

import math
from pathlib import Path

from rapidseg.core.errors import InputError
from rapidseg.core.progress import SILENT, Progress, counter
from rapidseg.core.sizes import format_size
from rapidseg.core.spec import Score
from rapidseg.evaluation import class_mapping_between, evaluate
from rapidseg.exporting.network_images import NetworkImages
from rapidseg.exporting.precisions import open_in_openvino


class Scorer:
    """Scores files of one network on one data set, in OpenVINO, with layers that are not INT8 in float32."""

    def __init__(self, images: NetworkImages, progress: Progress = SILENT) -> None:
        """Finds how the classes of the network map to those of the data.

        Args:
            images: labeled.
            progress: told after each image.

        Raises:
            InputError: the classes differ, and no mapping between them is known.
        """
        self._images = images
        self._progress = progress
        self._mapping = class_mapping_between(images.spec.labels, images.dataset.labels)

    def __call__(self, path: Path, task: str) -> Score:
        """Scores a file; `task` is the name that `progress` reports.

        Raises:
            InputError: no pixel is labeled.
        """
        dataset, input_size = self._images.dataset, self._images.input_size
        segmenter = open_in_openvino(path, self._images.spec, "float32")
        evaluation = evaluate(
            lambda image: segmenter(image, input_size=input_size).class_map,
            dataset,
            class_mapping=None if self._mapping is None else self._mapping[1],
            progress=counter(self._progress, task),
        )
        scores = evaluation.scores
        if math.isnan(scores.mean_iou):
            raise InputError(
                f"{dataset.name} {dataset.split}: no pixel is labeled, so mean IoU cannot be measured; "
                "pass a split with labels"
            )
        return Score(
            dataset=dataset.name,
            split=dataset.split,
            mean_iou=scores.mean_iou,
            mean_accuracy=scores.mean_accuracy,
            pixel_accuracy=scores.pixel_accuracy,
            protocol=self._protocol(),
        )

    def _protocol(self) -> str:
        size = self._images.input_size
        parts = ["whole image, single scale"]
        if isinstance(size, int):
            parts.append(f"short side resized to {size} pixels")
        elif size is not None:
            parts.append(f"resized to {format_size(size)} pixels")
        if self._mapping is not None:
            parts.append(f"classes mapped by {self._mapping[0]}")
        return ", ".join(parts)

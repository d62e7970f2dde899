"""Mean IoU of a model file on a validation split, computed as `rapidseg eval` does."""

from __future__ import annotations

from pathlib import Path

from rapidseg.core.errors import InputError
from rapidseg.core.progress import SILENT, Progress, counter
from rapidseg.core.sizes import format_size
from rapidseg.core.spec import Score
from rapidseg.evaluation import ClassMapping, score
from rapidseg.evaluation.precision_agreement import open_in_openvino
from rapidseg.exporting.network_images import NetworkImages


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
        self._mapping = ClassMapping.between(images.spec.labels, images.dataset.labels)

    def __call__(self, path: Path, task: str) -> Score:
        """Scores a file; `task` is the name that `progress` reports.

        Raises:
            InputError: no pixel is labeled.
        """
        dataset, input_size = self._images.dataset, self._images.input_size
        segmenter = open_in_openvino(path, self._images.spec, "float32")
        evaluation = score(
            lambda image: segmenter(image, input_size=input_size).class_map,
            dataset,
            class_mapping=self._mapping,
            progress=counter(self._progress, task),
        )
        measured = evaluation.as_score(dataset=dataset.name, split=dataset.split, protocol=self._protocol())
        if measured is None:
            raise InputError(
                f"{dataset.name} {dataset.split}: no pixel is labeled, so mean IoU cannot be measured; "
                "pass a split with labels"
            )
        return measured

    def _protocol(self) -> str:
        size = self._images.input_size
        parts = ["whole image, single scale"]
        if isinstance(size, int):
            parts.append(f"short side resized to {size} pixels")
        elif size is not None:
            parts.append(f"resized to {format_size(size)} pixels")
        if self._mapping.name is not None:
            parts.append(f"classes mapped by {self._mapping.name}")
        return ", ".join(parts)

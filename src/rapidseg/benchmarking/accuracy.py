"""The mIoU of a configuration: measured on labeled images, or stated in the model file for exactly this case."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rapidseg.benchmarking.configuration import Configuration
from rapidseg.core.spec import ModelSpec
from rapidseg.imaging import input_size_hw

if TYPE_CHECKING:
    from rapidseg.core.sizes import InputSize
    from rapidseg.runtime import Segmenter

# Height and width of the images of data sets for which models state scores.
_IMAGE_SIZES_HW = {"camvid": (360, 480), "cityscapes": (1024, 2048)}


@dataclass(frozen=True)
class LabeledData:
    """Labeled images to score on; the fields are those of `rapidseg eval`."""

    data: str
    root: str | None
    split: str
    class_mapping: str | None = None

    @classmethod
    def from_paths(
        cls,
        data: str | os.PathLike[str] | None,
        root: str | os.PathLike[str] | None,
        split: str,
        class_mapping: str | None,
    ) -> LabeledData | None:
        """Returns the labeled images of a data set's name or YAML path, or None without one."""
        if data is None:
            return None
        return cls(os.fspath(data), None if root is None else os.fspath(root), split, class_mapping)


@dataclass(frozen=True)
class BenchmarkScore:
    """The score of a model on a data set.

    Attributes:
        dataset, split: names of the data set and the split.
        num_images: number of images that were scored.
        mean_iou: from 0 to 1, over the pixels of the whole split.
        warnings: reasons why the score means less than it seems to, in sentences.
    """

    dataset: str
    split: str
    num_images: int
    mean_iou: float
    warnings: tuple[str, ...] = ()

    @property
    def data(self) -> str:
        """Data set and split, such as `camvid val`."""
        return f"{self.dataset} {self.split}"


@dataclass(frozen=True)
class Accuracy:
    """A mIoU, from 0 to 1, and its source."""

    mean_iou: float
    source: str


def score_segmenter(
    segmenter: Segmenter, data: LabeledData, input_size: InputSize | None, progress: Callable[[int, int], None]
) -> BenchmarkScore:
    """Scores a model on whole images with the scorer of `rapidseg eval`.

    Args:
        segmenter: the model, in the engine and precision that are measured.
        data: labeled images.
        input_size: size at which the network sees the images; None: the model's own.
        progress: called after each image with the number done and the total.

    Raises:
        RapidSegError: the data cannot be read, or its classes do not match the model's.
    """
    # Imported here: a measuring process that scores nothing must not load this.
    from rapidseg.data import open_dataset
    from rapidseg.evaluation import ClassMapping, InputScaling, WholeImage, score, training_warnings

    dataset = open_dataset(data.data, data.root, data.split)
    mapping = ClassMapping.between(segmenter.spec.labels, dataset.labels, data.class_mapping)
    predict = WholeImage(segmenter, InputScaling(input_size))
    evaluation = score(predict, dataset, class_mapping=mapping, progress=progress)
    name = segmenter.spec.architecture if segmenter.path is None else segmenter.path.stem
    warnings = training_warnings(name, segmenter.spec, dataset)
    return BenchmarkScore(dataset.name, dataset.split, len(dataset), evaluation.scores.mean_iou, warnings)


def stated_accuracy(spec: ModelSpec, configuration: Configuration) -> Accuracy | None:
    """Returns the first score in a model file that holds for a configuration, or None.

    A score holds only in float32, and only if the network sees images at the size at which it was scored. Scores are
    never carried over to other precisions or sizes, since their effect on the score is exactly what users want to know.
    """
    if configuration.precision != "float32":
        return None
    requested = configuration.input_size or spec.default_input_size
    network_hw = input_size_hw(configuration.image_size_hw, requested, spec.stride)
    for score in spec.scores:
        image_hw = _IMAGE_SIZES_HW.get(score.dataset)
        if image_hw and network_hw == input_size_hw(image_hw, spec.input_short_side, spec.stride):
            return Accuracy(score.mean_iou, f"stated in the model file: {score.dataset} {score.split}")
    return None

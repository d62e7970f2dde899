"""`score`: the one way to score anything that predicts on anything that is labeled."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from rapidseg.core.errors import DatasetError, EngineError, ImageError, InputError, RapidSegError
from rapidseg.core.labels import LabelSet
from rapidseg.core.out_of_memory import is_out_of_memory
from rapidseg.core.sizes import format_size
from rapidseg.core.spec import Score
from rapidseg.evaluation.class_mapping import ClassMapping
from rapidseg.metrics import ConfusionMatrix, Scores, merge_counts

Predictor = Callable[[np.ndarray], np.ndarray]
"""Takes an image, (H, W, 3) uint8 RGB, and returns its class map, (H, W) uint8."""


class LabeledImage(Protocol):
    """An image with its labels, as data sets yield them."""

    @property
    def name(self) -> str: ...

    @property
    def image(self) -> np.ndarray:
        """(H, W, 3) uint8 RGB."""
        ...

    @property
    def label(self) -> np.ndarray:
        """(H, W) uint8, class ids or the ignored value."""
        ...


class LabeledImages(Protocol):
    """A data set: labeled images that are read one after the other, and the meaning of their ids."""

    @property
    def labels(self) -> LabelSet: ...

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[LabeledImage]: ...


@dataclass(frozen=True)
class ImageScore:
    """Scores of one image.

    Attributes:
        name: the image's name in its data set.
        mean_iou: mean over the classes that occur in its label or its prediction; NaN without a labeled pixel.
        pixel_accuracy: share of its labeled pixels that are predicted correctly; NaN without a labeled pixel.
    """

    name: str
    mean_iou: float
    pixel_accuracy: float


@dataclass(frozen=True)
class FailedImage:
    """An image without a score.

    Attributes:
        name: the image's name in its data set; its number, counted from 1, where it could not be read.
        error: why, in a sentence.
    """

    name: str
    error: str


Observer = Callable[[LabeledImage, np.ndarray, ImageScore], None]
"""Is called with an image, its class map, (H, W) uint8, and its scores. It must not change or keep the arrays."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Scores of a predictor on a data set.

    Attributes:
        labels: the data set's classes, in the order of the scores.
        matrix: pixels of the whole data set, counted by label and prediction.
        scores: scores over the pixels of the whole data set, not means over images.
        images: scores of each image, in the order of the data set.
        failed: images that could not be read or segmented; no score counts them.
    """

    labels: LabelSet
    matrix: ConfusionMatrix
    scores: Scores
    images: tuple[ImageScore, ...]
    failed: tuple[FailedImage, ...] = ()

    def ranked_images(self) -> list[ImageScore]:
        """Returns the images from the lowest mean IoU to the highest, without those that have no labeled pixel."""
        return sorted((image for image in self.images if not np.isnan(image.mean_iou)), key=lambda item: item.mean_iou)

    @property
    def category_scores(self) -> Scores | None:
        """Scores of the categories that the classes belong to (`labels.category_names`); None without categories."""
        if not self.labels.categories:
            return None
        return Scores.from_counts(merge_counts(self.matrix.counts, self.labels.categories))

    def as_score(self, *, dataset: str, split: str, protocol: str) -> Score | None:
        """Returns the scores as a model's specification states them; None without a labeled pixel."""
        scores = self.scores
        if np.isnan(scores.mean_iou):
            return None
        return Score(
            dataset=dataset,
            split=split,
            mean_iou=float(scores.mean_iou),
            mean_accuracy=float(scores.mean_accuracy),
            pixel_accuracy=float(scores.pixel_accuracy),
            protocol=protocol,
        )

    def to_dict(self) -> dict[str, Any]:
        """Returns everything for JSON, with None where a score is not defined."""
        categories = {} if (scores := self.category_scores) is None else scores.to_dict(self.labels.category_names)
        return {
            **self.scores.to_dict(self.labels.names),
            "mean_category_iou": categories.get("mean_iou"),
            "categories": categories.get("classes", []),
            "confusion_matrix": self.matrix.counts.tolist(),
            "images": [
                {
                    "name": image.name,
                    "mean_iou": None if np.isnan(image.mean_iou) else image.mean_iou,
                    "pixel_accuracy": None if np.isnan(image.pixel_accuracy) else image.pixel_accuracy,
                }
                for image in self.images
            ],
            "failed": [{"name": image.name, "error": image.error} for image in self.failed],
        }


def score(
    predict: Predictor,
    dataset: LabeledImages,
    *,
    class_mapping: ClassMapping | None = None,
    progress: Callable[[int, int], None] | None = None,
    observers: Sequence[Observer] = (),
    on_error: Callable[[FailedImage], None] | None = None,
) -> Evaluation:
    """Predicts every image of a data set and scores the class maps at the size of the labels.

    One image is in memory at a time, so memory does not grow with the data set.

    Args:
        predict: takes an image, (H, W, 3) uint8 RGB, and returns its class map, (H, W) uint8.
        dataset: labeled images with `labels`.
        class_mapping: how predicted classes count as those of the data set; None: the classes are the same.
        progress: called after each image with the number of images done and of all images.
        observers: each is called with every image, its class map in classes of the data set, and its scores.
        on_error: called with each image that cannot be read, segmented or scored, as where memory is short; the scores
            are then those of the other images. None: the error is raised.

    Raises:
        InputError: the data set is empty, no image of it has a score, or a class map or label cannot be scored; the
            image is named.
        EngineError: the engine failed.
    """
    if not len(dataset):
        raise InputError("the data set contains no images; choose another split or check its folders")
    labels = dataset.labels
    mapping = class_mapping or ClassMapping()
    total = ConfusionMatrix(labels.num_classes, labels.ignore_index)
    images: list[ImageScore] = []
    failed: list[FailedImage] = []
    for done, read in enumerate(_samples(dataset), start=1):
        try:
            sample = read()
            class_map = _predict(predict, sample)
        except (InputError, EngineError) as error:
            if on_error is None or isinstance(error, DatasetError):  # the data set as a whole is wrong
                raise
            failed.append(_failure(dataset, done - 1, error))
            on_error(failed[-1])
        else:
            class_map, matrix = _compare(class_map, sample, mapping, labels)
            total += matrix
            scores = matrix.scores()
            images.append(ImageScore(sample.name, scores.mean_iou, scores.pixel_accuracy))
            for observe in observers:
                observe(sample, class_map, images[-1])
        if progress is not None:
            progress(done, len(dataset))
    if not images:
        raise InputError(f"none of {len(dataset)} images could be scored; the first: {failed[0].error}")
    return Evaluation(labels, total, total.scores(), tuple(images), tuple(failed))


def _samples(dataset: LabeledImages) -> Iterator[Callable[[], LabeledImage]]:
    """Yields a function per image that reads it; one that fails does not end the iteration of a sequence."""
    if isinstance(dataset, Sequence):
        for index in range(len(dataset)):
            yield functools.partial(dataset.__getitem__, index)
    else:
        for sample in dataset:
            yield functools.partial(_identity, sample)


def _identity(sample: LabeledImage) -> LabeledImage:
    return sample


def _predict(predict: Predictor, sample: LabeledImage) -> np.ndarray:
    """Returns the class map of an image; errors of the image, of the engine and of memory name it."""
    try:
        return predict(sample.image)
    except (InputError, EngineError) as error:
        raise type(error)(f"{sample.name}: {error}") from error
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise ImageError(
            f"{sample.name}: not enough memory to segment {format_size(sample.image.shape)} pixels; use a smaller "
            "input size or another protocol"
        ) from error


def _compare(
    class_map: np.ndarray, sample: LabeledImage, mapping: ClassMapping, labels: LabelSet
) -> tuple[np.ndarray, ConfusionMatrix]:
    """Returns the class map in classes of the data set, and its pixels counted."""
    matrix = ConfusionMatrix(labels.num_classes, labels.ignore_index)
    try:
        class_map = mapping(class_map)
        matrix.update(class_map, sample.label)
    except InputError as error:
        raise InputError(f"{sample.name}: {error}") from error
    return class_map, matrix


def _failure(dataset: LabeledImages, index: int, error: RapidSegError) -> FailedImage:
    sample_name = getattr(dataset, "sample_name", None)
    return FailedImage(str(index + 1) if sample_name is None else sample_name(index), str(error))

"""`score`: the one way to score anything that predicts on anything that is labeled."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from rapidseg.core.errors import InputError
from rapidseg.core.labels import LabelSet
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
    """

    labels: LabelSet
    matrix: ConfusionMatrix
    scores: Scores
    images: tuple[ImageScore, ...]

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
        }


def score(
    predict: Predictor,
    dataset: LabeledImages,
    *,
    class_mapping: ClassMapping | None = None,
    progress: Callable[[int, int], None] | None = None,
    observers: Sequence[Observer] = (),
) -> Evaluation:
    """Predicts every image of a data set and scores the class maps at the size of the labels.

    One image is in memory at a time, so memory does not grow with the data set.

    Args:
        predict: takes an image, (H, W, 3) uint8 RGB, and returns its class map, (H, W) uint8.
        dataset: labeled images with `labels`.
        class_mapping: how predicted classes count as those of the data set; None: the classes are the same.
        progress: called after each image with the number of images done and of all images.
        observers: each is called with every image, its class map in classes of the data set, and its scores.

    Raises:
        InputError: the data set is empty, or a class map or label cannot be scored; the image is named.
    """
    if not len(dataset):
        raise InputError("the data set contains no images; choose another split or check its folders")
    labels = dataset.labels
    mapping = class_mapping or ClassMapping()
    total = ConfusionMatrix(labels.num_classes, labels.ignore_index)
    images = []
    for done, sample in enumerate(dataset, start=1):
        matrix = ConfusionMatrix(labels.num_classes, labels.ignore_index)
        class_map = predict(sample.image)
        try:
            class_map = mapping(class_map)
            matrix.update(class_map, sample.label)
        except InputError as error:
            raise InputError(f"{sample.name}: {error}") from error
        total += matrix
        scores = matrix.scores()
        images.append(ImageScore(sample.name, scores.mean_iou, scores.pixel_accuracy))
        for observe in observers:
            observe(sample, class_map, images[-1])
        if progress is not None:
            progress(done, len(dataset))
    return Evaluation(labels, total, total.scores(), tuple(images))

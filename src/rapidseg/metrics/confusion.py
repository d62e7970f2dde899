"""`ConfusionMatrix`: counts pixels by label and predicted class."""

from __future__ import annotations

import numpy as np

from rapidseg.core.errors import InputError
from rapidseg.metrics.scores import Scores


class ConfusionMatrix:
    """Counts pixels by their label and their predicted class, over any number of images.

    Pixels labeled `ignore_index` are ignored, whatever their prediction is. Everywhere else both values must be a
    class: a prediction of `ignore_index` is an error and not a wrong answer, because scores would depend on whether
    "no class" counts as a class.

    Matrices of parts of a data set add up to the matrix of the whole.

    Attributes:
        num_classes: the number of classes, K.
        ignore_index: label of the pixels that do not count.
        counts: (K, K) int64 pixels; rows are labels, columns predictions.
    """

    def __init__(self, num_classes: int, ignore_index: int = 255) -> None:
        """Starts with no pixels.

        Raises:
            InputError: `num_classes` is not 2 to 255, or `ignore_index` is a class or not a byte.
        """
        if not 2 <= num_classes <= 255:
            raise InputError(f"num_classes is {num_classes}; a confusion matrix supports 2 to 255 classes")
        if not num_classes <= ignore_index <= 255:
            raise InputError(
                f"ignore_index is {ignore_index}; with {num_classes} classes it must be {num_classes} to 255, "
                "usually 255"
            )
        self.num_classes: int = num_classes
        self.ignore_index: int = ignore_index
        self.counts: np.ndarray = np.zeros((num_classes, num_classes), np.int64)  # rows are labels, columns predictions

    def update(self, prediction: np.ndarray, label: np.ndarray) -> None:
        """Adds the pixels of one image, or of a batch.

        Args:
            prediction: integer array of predicted classes, of any shape, usually (H, W) uint8.
            label: integer array of the same shape; classes or `ignore_index`.

        Raises:
            InputError: the shapes differ, an array is not of integers, a label is neither a class nor `ignore_index`,
                or the prediction of a labeled pixel is not a class. Nothing is counted then.
        """
        prediction, label = np.asarray(prediction), np.asarray(label)
        if prediction.shape != label.shape:
            raise InputError(
                f"the prediction has shape {prediction.shape} and the label {label.shape}; "
                "resize the prediction to the label's size first"
            )
        prediction, label = self._as_bytes(prediction, "prediction"), self._as_bytes(label, "label")
        # Every pair of bytes is counted in one pass, which also finds the values that are not a class.
        pairs = np.bincount(((label.astype(np.uint16) << 8) | prediction).ravel(), minlength=1 << 16).reshape(256, 256)
        pairs[self.ignore_index] = 0
        self._check(pairs.sum(axis=1), "label", f", and {self.ignore_index} for ignored pixels")
        self._check(pairs.sum(axis=0), "prediction", " wherever the label is not ignored")
        self.counts += pairs[: self.num_classes, : self.num_classes]

    def scores(self) -> Scores:
        """Computes IoU and accuracy per class, and their means, from the pixels counted so far."""
        return Scores.from_counts(self.counts)

    def __add__(self, other: ConfusionMatrix) -> ConfusionMatrix:
        """Returns the matrix of the pixels of both.

        Raises:
            InputError: the number of classes or `ignore_index` differs.
        """
        if (self.num_classes, self.ignore_index) != (other.num_classes, other.ignore_index):
            raise InputError(
                f"cannot add confusion matrices of {self.num_classes} classes with ignore_index {self.ignore_index} "
                f"and of {other.num_classes} classes with ignore_index {other.ignore_index}; "
                "count both with the same label set"
            )
        total = ConfusionMatrix(self.num_classes, self.ignore_index)
        total.counts = self.counts + other.counts
        return total

    def _as_bytes(self, values: np.ndarray, name: str) -> np.ndarray:
        if values.dtype == np.uint8:
            return values
        if not np.issubdtype(values.dtype, np.integer):
            raise InputError(f"the {name} is an array of {values.dtype}; pass integer class ids, usually uint8")
        if values.size and (values.min() < 0 or values.max() > 255):
            outside = values.min() if values.min() < 0 else values.max()
            raise InputError(f"the {name} contains the value {outside}; {self._allowed()} are allowed")
        return values.astype(np.uint8)

    def _check(self, histogram: np.ndarray, name: str, addition: str) -> None:
        """Raises if a value that is not a class occurs in a histogram of 256 values."""
        outside = np.flatnonzero(histogram[self.num_classes :]) + self.num_classes
        if outside.size:
            listed = ", ".join(f"{value} ({histogram[value]} pixels)" for value in outside[:5])
            more = f" and {outside.size - 5} other values" if outside.size > 5 else ""
            raise InputError(f"the {name} contains the value {listed}{more}; {self._allowed()} are allowed{addition}")

    def _allowed(self) -> str:
        return f"0 to {self.num_classes - 1}"

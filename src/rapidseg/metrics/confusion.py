"""`ConfusionMatrix`: counts which class was predicted for pixels of which class."""

from __future__ import annotations

import numpy as np

from rapidseg.core.errors import InputError
from rapidseg.metrics.scores import Scores


class ConfusionMatrix:
    """Counts pixels by their label and their predicted class, over any number of images.

    Pixels labeled `ignore_index` are not looked at, whatever was predicted there. Everywhere else both values must
    be a class: a prediction of `ignore_index` is an error and not a wrong answer, because scores of it would depend
    on whether "no class" counts as one.

    Matrices of parts of a data set add up to the matrix of the whole.
    """

    def __init__(self, num_classes: int, ignore_index: int = 255) -> None:
        """Starts with no pixels.

        Raises:
            InputError: there are not 2 to 255 classes, or `ignore_index` is one of them or no byte.
        """
        if not 2 <= num_classes <= 255:
            raise InputError(f"num_classes is {num_classes}; a confusion matrix takes 2 to 255 classes")
        if not num_classes <= ignore_index <= 255:
            raise InputError(
                f"ignore_index is {ignore_index}; with {num_classes} classes it can be {num_classes} to 255, "
                "usually 255"
            )
        self.num_classes = num_classes
        self.ignore_index = ignore_index
        self.counts = np.zeros((num_classes, num_classes), np.int64)  # rows are labels, columns predictions

    def update(self, prediction: np.ndarray, label: np.ndarray) -> None:
        """Adds the pixels of one image, or of a batch.

        Args:
            prediction: integer array of predicted classes, of any shape, usually (H, W) uint8.
            label: integer array of the same shape; classes or `ignore_index`.

        Raises:
            InputError: shapes differ, an array is not of integers, a label is neither a class nor `ignore_index`, or
                a prediction on a labeled pixel is no class. Nothing is counted then.
        """
        prediction, label = np.asarray(prediction), np.asarray(label)
        if prediction.shape != label.shape:
            raise InputError(
                f"the prediction has shape {prediction.shape} and the label {label.shape}; "
                "bring the prediction to the label's size first"
            )
        prediction, label = self._as_bytes(prediction, "prediction"), self._as_bytes(label, "label")
        # Every pair of bytes is counted in one pass, which also finds the values that are no class.
        pairs = np.bincount(((label.astype(np.uint16) << 8) | prediction).ravel(), minlength=1 << 16).reshape(256, 256)
        pairs[self.ignore_index] = 0
        self._refuse(pairs.sum(axis=1), "label", f" or {self.ignore_index} for ignored pixels")
        self._refuse(pairs.sum(axis=0), "prediction", " wherever the label is not ignored")
        self.counts += pairs[: self.num_classes, : self.num_classes]

    def scores(self) -> Scores:
        """Computes IoU and accuracy per class and the three means from the pixels counted so far."""
        return Scores.from_counts(self.counts)

    def __add__(self, other: ConfusionMatrix) -> ConfusionMatrix:
        """Returns the matrix of the pixels of both.

        Raises:
            InputError: they have another number of classes or another `ignore_index`.
        """
        if (self.num_classes, self.ignore_index) != (other.num_classes, other.ignore_index):
            raise InputError(
                f"a matrix of {self.num_classes} classes with ignore_index {self.ignore_index} and one of "
                f"{other.num_classes} classes with ignore_index {other.ignore_index} cannot be added; "
                "count both with the same label set"
            )
        total = ConfusionMatrix(self.num_classes, self.ignore_index)
        total.counts = self.counts + other.counts
        return total

    def _as_bytes(self, values: np.ndarray, what: str) -> np.ndarray:
        if values.dtype == np.uint8:
            return values
        if not np.issubdtype(values.dtype, np.integer):
            raise InputError(f"the {what} is an array of {values.dtype}; give integer class ids, usually uint8")
        if values.size and (values.min() < 0 or values.max() > 255):
            outside = values.min() if values.min() < 0 else values.max()
            raise InputError(f"the {what} holds the value {outside}; {self._allowed()} are allowed")
        return values.astype(np.uint8)

    def _refuse(self, histogram: np.ndarray, what: str, also: str) -> None:
        """Raises if one of 256 values that is no class occurs."""
        outside = np.flatnonzero(histogram[self.num_classes :]) + self.num_classes
        if outside.size:
            listed = ", ".join(f"{value} ({histogram[value]} pixels)" for value in outside[:5])
            more = f" and {outside.size - 5} others" if outside.size > 5 else ""
            raise InputError(f"the {what} holds the value {listed}{more}; {self._allowed()} are allowed{also}")

    def _allowed(self) -> str:
        return f"0 to {self.num_classes - 1}"

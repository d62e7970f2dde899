"""`Scores`: intersection over union and accuracy, from counted pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class Scores:
    """Scores of predictions against labels, as fractions from 0 to 1.

    A score that is not defined is NaN: the IoU of a class that occurs neither in labels nor in predictions, the
    accuracy of a class that does not occur in labels. Means over classes skip these classes.

    Attributes:
        iou: (K,) float64, pixels that are the class in both over pixels that are the class in either.
        accuracy: (K,) float64, share of the pixels of the class that are predicted correctly.
        mean_iou: mean of `iou`, printed as mIoU.
        mean_accuracy: mean of `accuracy`.
        pixel_accuracy: share of all labeled pixels that are predicted correctly.
    """

    iou: np.ndarray
    accuracy: np.ndarray
    mean_iou: float
    mean_accuracy: float
    pixel_accuracy: float

    @classmethod
    def from_counts(cls, counts: np.ndarray) -> Scores:
        """Computes the scores of a (K, K) integer matrix of pixels: rows are labels, columns predictions."""
        correct = np.diag(counts).astype(np.float64)
        labeled = counts.sum(axis=1).astype(np.float64)
        predicted = counts.sum(axis=0).astype(np.float64)
        iou = _fractions(correct, labeled + predicted - correct)
        accuracy = _fractions(correct, labeled)
        return cls(
            iou=iou,
            accuracy=accuracy,
            mean_iou=_mean(iou),
            mean_accuracy=_mean(accuracy),
            pixel_accuracy=float(_fractions(correct.sum(), labeled.sum())),
        )

    def to_dict(self, class_names: tuple[str, ...]) -> dict[str, Any]:
        """Returns the scores for JSON, with None where a score is not defined."""
        return {
            "mean_iou": _number(self.mean_iou),
            "mean_accuracy": _number(self.mean_accuracy),
            "pixel_accuracy": _number(self.pixel_accuracy),
            "classes": [
                {"name": name, "iou": _number(iou), "accuracy": _number(accuracy)}
                for name, iou, accuracy in zip(class_names, self.iou, self.accuracy, strict=True)
            ],
        }


def merge_counts(counts: np.ndarray, groups: Sequence[str]) -> np.ndarray:
    """Merges classes into groups: a class that is confused with another class of its group counts as correct.

    Args:
        counts: (K, K) integer matrix of pixels: rows are labels, columns predictions.
        groups: the group of each class.

    Returns:
        (G, G) integer matrix of pixels by group, in the order in which `groups` first names them.
    """
    members = np.array([[group == name for group in groups] for name in dict.fromkeys(groups)], counts.dtype)
    merged: np.ndarray = members @ counts @ members.T
    return merged


def _fractions(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Divides, with NaN where the denominator is 0."""
    fractions = np.full(np.shape(numerator), np.nan)
    np.divide(numerator, denominator, out=fractions, where=denominator > 0)
    return fractions


def _mean(values: np.ndarray) -> float:
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if defined.size else float("nan")


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)

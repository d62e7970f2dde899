"""`Comparison`: what changed from one run to another on the same data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rapidseg.core.errors import InputError
from rapidseg.evaluation.report.evaluation_run import Run


@dataclass(frozen=True)
class Change:
    """A score of both runs; NaN where it is not defined.

    Attributes:
        name: name of the class, image or mean.
        first, second: the scores, from 0 to 1.
    """

    name: str
    first: float
    second: float

    @property
    def difference(self) -> float:
        """How much the second run gained on the first."""
        return self.second - self.first

    def __str__(self) -> str:
        return f"mIoU {self.first:.3f} in A, {self.second:.3f} in B ({self.difference:+.3f})"

    def to_dict(self) -> dict[str, Any]:
        """Returns the scores for JSON, with None where a score is not defined."""
        scores = {"first": self.first, "second": self.second, "difference": self.difference}
        return {"name": self.name, **{key: None if np.isnan(value) else value for key, value in scores.items()}}


class Comparison:
    """Two runs on the same data, score by score.

    Attributes:
        first, second: the runs.
        means: mIoU, mean accuracy and pixel accuracy.
        classes: IoU of each class.
        images: mean IoU of each image for which it is defined, from the largest loss to the largest gain.
    """

    def __init__(self, first: Run, second: Run) -> None:
        """Compares.

        Raises:
            InputError: the runs differ in their classes or data.
        """
        _check_classes(first, second)
        _check_data(first, second)
        self.first = first
        self.second = second
        names = {"mIoU": "mean_iou", "mean accuracy": "mean_accuracy", "pixel accuracy": "pixel_accuracy"}
        self.means = [
            Change(name, getattr(first.scores, field), getattr(second.scores, field)) for name, field in names.items()
        ]
        ious = zip(first.labels.names, first.scores.iou, second.scores.iou, strict=True)
        self.classes = [Change(name, float(before), float(after)) for name, before, after in ious]
        changes = [
            Change(before.name, before.mean_iou, after.mean_iou)
            for before, after in zip(first.images, second.images, strict=True)
            if before.mean_iou is not None and after.mean_iou is not None
        ]
        self.images = sorted(changes, key=lambda change: change.difference)

    def lost(self, count: int) -> list[Change]:
        """Returns the images that got worse, the largest loss first."""
        return [change for change in self.images[:count] if change.difference < 0]

    def gained(self, count: int) -> list[Change]:
        """Returns the images that got better, the largest gain first."""
        return [change for change in self.images[::-1][:count] if change.difference > 0]

    def to_dict(self, num_images: int) -> dict[str, Any]:
        """Returns the comparison for JSON, with at most that many images that lost and that gained."""
        about = ("model", "engine", "precision", "protocol", "warnings", "command", "date", "version")
        runs = [run.model_dump(mode="json", include=set(about)) for run in (self.first, self.second)]
        return {
            "dataset": self.first.dataset,
            "split": self.first.split,
            "runs": runs,
            "means": [change.to_dict() for change in self.means],
            "classes": [change.to_dict() for change in self.classes],
            "lost": [change.to_dict() for change in self.lost(num_images)],
            "gained": [change.to_dict() for change in self.gained(num_images)],
        }


def _check_classes(first: Run, second: Run) -> None:
    ours, theirs = first.labels.names, second.labels.names
    if ours != theirs:
        raise InputError(
            f"the runs cannot be compared: the first was scored on {len(ours)} classes ({', '.join(ours)}), the second "
            f"on {len(theirs)} ({', '.join(theirs)}); evaluate both on the same data"
        )


def _check_data(first: Run, second: Run) -> None:
    def fail(reason: str) -> None:
        raise InputError(f"the runs cannot be compared: {reason}; evaluate both on the same data")

    if (first.dataset, first.split) != (second.dataset, second.split):
        fail(f"the first is of {first.dataset} {first.split}, the second of {second.dataset} {second.split}")
    if [image.name for image in first.images] != [image.name for image in second.images]:
        fail(
            f"their images differ: {len(first.images)} in the first, {len(second.images)} in the second, or their names"
        )
    labeled = zip(first.labels.names, first.counts.sum(axis=1), second.counts.sum(axis=1), strict=True)
    for name, before, after in labeled:
        if before != after:
            fail(f"their labels differ: the first has {before:,} pixels of {name}, the second {after:,}")

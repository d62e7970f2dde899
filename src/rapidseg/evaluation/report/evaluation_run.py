"""`Run`: the JSON document of an evaluation, with everything that its HTML report needs."""

from __future__ import annotations

import json
import os
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from rapidseg import __version__
from rapidseg.core.errors import InputError
from rapidseg.core.labels import LabelSet
from rapidseg.core.printable import shortened
from rapidseg.core.sizes import InputSize
from rapidseg.core.validation import explain_validation
from rapidseg.evaluation.scoring import Evaluation
from rapidseg.metrics import Scores, merge_counts


class RunImage(BaseModel):
    """Scores of one image; None where they are not defined."""

    model_config = ConfigDict(frozen=True)

    name: str
    mean_iou: float | None
    pixel_accuracy: float | None


class FailedRunImage(BaseModel):
    """An image that could not be read or segmented, and why."""

    model_config = ConfigDict(frozen=True)

    name: str
    error: str


class Run(BaseModel):
    """What was evaluated, how, and the result.

    The document contains more for other programs: scores of classes and means, which follow from the confusion matrix.

    Attributes:
        version: version of rapidseg.
        date: when the evaluation ended, with the time zone.
        command: the command line or the Python call.
        model: name or file.
        license: of the model's weights; None: not known.
        data, root: the data set as it was given; absolute paths where they are paths.
        dataset, split: the name of the data set, and the split that was scored.
        protocol: `name`, `description` and settings of the protocol.
        class_mapping: name of the mapping from the model's classes to those of the data.
        warnings: reasons why the scores mean less than they seem to, in sentences.
        seconds: duration of the evaluation.
        saved: folder of the predictions, if they were saved.
        labels: the data set's classes.
        confusion_matrix: pixels; rows are labels, columns predictions.
        images: scores of each image, in the order of the data set.
        failed: images that no score counts.
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    version: str
    date: datetime
    command: str
    model: str
    license: str | None = None
    engine: str
    precision: str
    device: str
    data: str
    root: str | None
    dataset: str
    split: str
    num_images: int
    protocol: dict[str, Any]
    input_size: InputSize | None
    class_mapping: str | None
    warnings: tuple[str, ...] = ()
    seconds: float
    saved: str | None
    labels: LabelSet
    confusion_matrix: tuple[tuple[int, ...], ...] = Field(repr=False)
    images: tuple[RunImage, ...] = Field(repr=False)
    failed: tuple[FailedRunImage, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> Run:
        num_classes = self.labels.num_classes
        if any(len(row) != num_classes for row in (self.confusion_matrix, *self.confusion_matrix)):
            raise ValueError(
                f"the confusion matrix is not {num_classes}x{num_classes}, as {num_classes} classes need it"
            )
        return self

    @cached_property
    def counts(self) -> np.ndarray:
        """The confusion matrix as (K, K) int64."""
        return np.array(self.confusion_matrix, np.int64)

    @cached_property
    def scores(self) -> Scores:
        return Scores.from_counts(self.counts)

    @cached_property
    def category_scores(self) -> Scores | None:
        """Scores of the categories that the classes belong to; None without categories."""
        categories = self.labels.categories
        return Scores.from_counts(merge_counts(self.counts, categories)) if categories else None

    @property
    def title(self) -> str:
        return f"{self.model} on {self.dataset} {self.split}"

    def ranked_images(self) -> list[RunImage]:
        """Returns the images from the lowest mean IoU to the highest, without those that have no labeled pixel."""
        defined = [(image.mean_iou, index) for index, image in enumerate(self.images) if image.mean_iou is not None]
        return [self.images[index] for _, index in sorted(defined)]

    def worst(self, count: int) -> list[RunImage]:
        """Returns the images with the lowest mean IoU, the lowest first; at most half of all images."""
        ranked = self.ranked_images()
        return ranked[: (len(ranked) + 1) // 2][:count]

    def best(self, count: int) -> list[RunImage]:
        """Returns the images with the highest mean IoU, the highest first; none that can be among the worst."""
        ranked = self.ranked_images()
        return ranked[(len(ranked) + 1) // 2 :][::-1][:count]


def make_run(evaluation: Evaluation, **about: Any) -> Run:
    """Returns the run of an evaluation.

    Args:
        evaluation: the result.
        about: the fields of `Run` that do not follow from `evaluation`, and not `version`.
    """
    fields = {"version": __version__, "num_images": len(evaluation.images), **about, **evaluation.to_dict()}
    return Run.model_validate({**fields, "labels": evaluation.labels})


def run_document(run: Run, evaluation: Evaluation, *, num_worst: int) -> dict[str, Any]:
    """Returns the JSON document of a run, from which `Run` can be read.

    Args:
        run: the run.
        evaluation: its result.
        num_worst: how many of the worst images to list under `worst`.
    """
    worst = [vars(image) for image in evaluation.ranked_images()[:num_worst]]
    about = run.model_dump(mode="json", exclude={"confusion_matrix", "images", "failed"})
    return {**about, "worst": worst, **evaluation.to_dict()}


def read_run(path: str | os.PathLike[str]) -> Run:
    """Reads the JSON document that `rapidseg eval --output` wrote.

    Raises:
        InputError: the file cannot be read, or is not such a document.
    """
    try:
        # Not pydantic's own parser: it rejects the escapes of names that are not UTF-8.
        return Run.model_validate(json.loads(Path(path).read_bytes()))
    except OSError as error:
        raise InputError(f"cannot read {shortened(path)}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        problem = explain_validation(error, Run) if isinstance(error, ValidationError) else f"Invalid JSON: {error}"
        raise InputError(
            f"{path} is not the JSON document of an evaluation ({problem}); "
            "write one with `rapidseg eval --output FILE` (EvaluationReport.save in Python)"
        ) from error

"""What the data files of the zoo may say. A figure of ours cannot stand there without command, data and machine.

Figures that others published are kept as they printed them, in percent; figures of ours are fractions, as everywhere
else in this project. Their names tell them apart.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from rapidseg.core.spec import ModelSpec

Percent = Annotated[float, Field(gt=0, le=100)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Words = Annotated[str, Field(min_length=3)]
Address = Annotated[str, Field(pattern=r"^https://\S+$")]
# Names are words on a command line, and names of the files that the commands in the documentation write.
Name = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]


class _Entry(BaseModel):
    """A part of a data file: unknown keys are refused, and nothing changes once it is read."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class NamedEntry(_Entry):
    """What a file, or a place in one, says about one thing that has a name."""

    name: Name


class Measurement(_Entry):
    """A figure that was measured with this project.

    Attributes:
        quantity: what was measured. `mean_iou` is a fraction.
        value: the figure.
        command: the command line that gives it.
        data: the images that it was measured on, and how they were shown to the network.
        machine: what it ran on.
    """

    quantity: Literal["mean_iou", "mean_iou_ms_flip", "frames_per_second", "latency_ms"]
    value: Positive
    command: Annotated[str, Field(pattern=r"^(rapidseg|python) \S")]
    data: Words
    machine: Words

    @model_validator(mode="after")
    def _fractions_are_no_percents(self) -> Measurement:
        if self.quantity.startswith("mean_iou") and self.value > 1:
            raise ValueError(f"{self.quantity} is a fraction from 0 to 1, not {self.value}")
        return self


class Figures(_Entry):
    """What one source printed about a model; None: it printed nothing.

    Attributes:
        source: the page.
        memory_gb: of each GPU in training.
        frames_per_second: of prediction, one image at a time, as the source measured it.
        mean_iou_percent: whole images, one scale, on Cityscapes `val`.
        mean_iou_ms_flip_percent: with several scales and mirrored images.
        note: what a reader must know to read the figures right.
    """

    source: Address
    memory_gb: Positive | None
    frames_per_second: Positive | None
    mean_iou_percent: Percent | None
    mean_iou_ms_flip_percent: Percent | None
    note: Words | None = None


class Training(_Entry):
    """How the published weights were trained.

    Attributes:
        crop_size: height and width of what the network saw.
        iterations: steps of the optimizer.
        images_per_gpu, num_gpus: one step saw their product.
    """

    crop_size: tuple[Count, Count]
    iterations: Count
    images_per_gpu: Count
    num_gpus: Count

    @property
    def batch_size(self) -> int:
        """Images in one step, all in all."""
        return self.images_per_gpu * self.num_gpus


class Weights(_Entry):
    """A file of weights on the net.

    Attributes:
        url: its address. The name ends in the first 8 hexadecimal digits of its SHA-256, as OpenMMLab's names do.
        note: which of several files this is.
    """

    url: Annotated[str, Field(pattern=r"^https://\S+-[0-9a-f]{8}\.pth$")]
    note: Words | None = None

    @property
    def file_name(self) -> str:
        return self.url.rpartition("/")[2]

    @property
    def sha256_prefix(self) -> str:
        """The first 8 hexadecimal digits of the file's SHA-256."""
        match = re.search(r"-([0-9a-f]{8})\.pth$", self.url)
        assert match is not None, "the pattern of `url` demands it"
        return match[1]


class PublishedModel(NamedEntry):
    """A row of the tables that this project is measured against.

    Attributes:
        name: of the row, here.
        method, backbone: as its source calls them.
        architecture, variant, options: what `rapidseg.models.create_model` builds for its weights.
        dataset: what it was trained and scored on.
        recipe: the recipe that trains it.
        configuration: the source's own configuration file.
        training: how it was trained.
        published: its figures, as published.
        revised: what a later table of the same source says where it says something else.
        weights: its files; the first is the one to take.
        measured: figures of ours.
    """

    method: Words
    backbone: Words
    architecture: Name
    variant: Words
    options: dict[str, Any] = {}
    dataset: Name
    recipe: Words
    configuration: Address
    training: Training
    published: Figures
    revised: Figures | None = None
    weights: tuple[Weights, ...] = Field(min_length=1)
    measured: tuple[Measurement, ...] = ()

    @property
    def url(self) -> str:
        """The address of its weights."""
        return self.weights[0].url

    @property
    def sha256_prefix(self) -> str:
        """The first 8 hexadecimal digits of the SHA-256 of its weights."""
        return self.weights[0].sha256_prefix

    def commands(self) -> tuple[str, str, str]:
        """Returns the command lines that fetch the weights, make a model file of them, and score it."""
        return (
            f"rapidseg import {self.name} -o {self.name}.safetensors",
            f"rapidseg export {self.name}.safetensors -o {self.name}.onnx",
            f"rapidseg eval {self.name}.onnx --data {self.dataset} --root DIR",
        )


class _ScoreOrigin(_Entry):
    """How a score in a model file was measured: the score of that data set and split gives the figure."""

    dataset: Words
    split: Words
    command: str
    machine: str


class BuiltInModel(NamedEntry):
    """A model file in the package. Its figures are those of the scores in the file, which they are never copied from.

    Attributes:
        name: what `rapidseg.load` calls it.
        recipe: the recipe that trained it.
        page: the document about it.
        scores: command and machine of each score in the file.
    """

    recipe: Words
    page: Words
    scores: tuple[_ScoreOrigin, ...]

    @field_validator("scores")
    @classmethod
    def _each_once(cls, scores: tuple[_ScoreOrigin, ...]) -> tuple[_ScoreOrigin, ...]:
        keys = [(score.dataset, score.split) for score in scores]
        if len(set(keys)) != len(keys):
            raise ValueError("each data set and split may stand once")
        return scores

    def measurements(self, spec: ModelSpec) -> tuple[Measurement, ...]:
        """Returns the figures in the file's specification, with what is known here about how they were measured."""
        origins = {(score.dataset, score.split): score for score in self.scores}
        found = []
        for score in spec.scores:
            origin = origins.get((score.dataset, score.split))
            if origin is not None:
                found.append(
                    Measurement(
                        quantity="mean_iou",
                        value=score.mean_iou,
                        command=origin.command,
                        data=f"{score.dataset} {score.split}, {score.protocol}",
                        machine=origin.machine,
                    )
                )
        return tuple(found)


class Reported(_Entry):
    """A figure in a paper or a project's page that belongs to no file of weights here.

    Attributes:
        method: what was measured.
        data: on which images.
        mean_iou_percent, frames_per_second: as printed; at least one of them.
        source: where it is printed.
    """

    method: Words
    data: Words
    mean_iou_percent: Percent | None = None
    frames_per_second: Positive | None = None
    source: Address

    @model_validator(mode="after")
    def _says_something(self) -> Reported:
        if self.mean_iou_percent is None and self.frames_per_second is None:
            raise ValueError("give mean_iou_percent, frames_per_second or both")
        return self


class ArchitectureEntry(NamedEntry):
    """An architecture, as far as it can be told without PyTorch; a test holds it to `rapidseg.models.ARCHITECTURES`.

    Attributes:
        name, paper, variants: as in the registry.
        reported: figures of its authors.
    """

    paper: Words
    variants: tuple[Words, ...] = Field(min_length=1)
    reported: tuple[Reported, ...] = ()

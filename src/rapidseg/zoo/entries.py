"""The schema of the zoo's data files. A figure of ours needs the command, data and machine that gave it.

Published figures are kept as their sources print them, in percent; figures of ours are fractions, as everywhere else in
this project. Their names tell them apart.
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
# Names are typed on the command line, and are the names of files that the documentation's commands write.
Name = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]


# By training data. See https://www.cityscapes-dataset.com/license/.
_TERMS = {"cityscapes": "trained on Cityscapes, whose license allows non-commercial use only"}


class _Entry(BaseModel):
    """A part of a data file: unknown keys are rejected, and values are immutable."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class NamedEntry(_Entry):
    """An entry that has a name."""

    name: Name


class MeasuredScore(_Entry):
    """A figure that was measured with RapidSeg.

    Attributes:
        quantity: what was measured; `mean_iou` is a fraction.
        value: the figure.
        command: the command line that measures it.
        data: the images that it was measured on, and the protocol.
        machine: the machine that it was measured on.
    """

    quantity: Literal["mean_iou", "mean_iou_ms_flip", "frames_per_second", "latency_ms"]
    value: Positive
    command: Annotated[str, Field(pattern=r"^(rapidseg|python) \S")]
    data: Words
    machine: Words

    @model_validator(mode="after")
    def _check_fraction(self) -> MeasuredScore:
        if self.quantity.startswith("mean_iou") and self.value > 1:
            raise ValueError(f"{self.quantity} is a fraction from 0 to 1, not {self.value}")
        return self


class Figures(_Entry):
    """Figures of a model in one source; None: not published there.

    Attributes:
        source: URL of the page.
        memory_gb: memory of each GPU in training.
        frames_per_second: speed of prediction, one image at a time, as the source measured it.
        mean_iou_percent: mIoU on Cityscapes `val`, whole images, single scale.
        mean_iou_ms_flip_percent: mIoU with several scales and mirrored images.
        note: what a reader must know to interpret the figures.
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
        crop_size: height and width of the crops that the network saw.
        iterations: steps of the optimizer.
        images_per_gpu, num_gpus: their product is the batch size.
    """

    crop_size: tuple[Count, Count]
    iterations: Count
    images_per_gpu: Count
    num_gpus: Count

    @property
    def batch_size(self) -> int:
        """Images per step, over all GPUs."""
        return self.images_per_gpu * self.num_gpus


class WeightsFile(_Entry):
    """A file of weights that can be downloaded.

    Attributes:
        url: its URL. The file's name ends in the first 8 hexadecimal digits of its SHA-256, like OpenMMLab's names.
        note: how it differs from the model's other files.
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
        assert match is not None, "the pattern of `url` requires it"
        return match[1]


class PublishedModel(NamedEntry):
    """A model that others published, with the figures that RapidSeg is compared with.

    Attributes:
        name: the model's name in RapidSeg.
        method, backbone: names in the source.
        architecture, variant, options: arguments of `rapidseg.models.create_model` for its weights.
        dataset: the data set that it was trained and scored on.
        recipe: the recipe that trains it.
        configuration: URL of the source's configuration file.
        training: how it was trained.
        published: its figures, as published.
        revised: its figures in a later table of the same source, where they differ.
        weights: its files; the first is the default.
        measured: figures that were measured with RapidSeg.
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
    weights: tuple[WeightsFile, ...] = Field(min_length=1)
    measured: tuple[MeasuredScore, ...] = ()

    @property
    def terms(self) -> str | None:
        """Terms of use that follow from its training data; None if unknown."""
        return _TERMS.get(self.dataset)

    @property
    def trained_on(self) -> tuple[str, ...]:
        """What its weights were trained on, as in `ModelSpec`; it is scored on the split `val`."""
        return (f"{self.dataset}/train",)

    @property
    def url(self) -> str:
        """The URL of its weights."""
        return self.weights[0].url

    @property
    def sha256_prefix(self) -> str:
        """The first 8 hexadecimal digits of the SHA-256 of its weights."""
        return self.weights[0].sha256_prefix

    def commands(self) -> tuple[str, str, str]:
        """Returns the command lines that predict with it, evaluate it, and export it; they download the weights."""
        return (
            f"rapidseg predict photo.jpg --model {self.name}",
            f"rapidseg eval {self.name} --data {self.dataset} --root DIR",
            f"rapidseg export {self.name} -o {self.name}.onnx",
        )


class _ScoreOrigin(_Entry):
    """How the score of a data set and split in a model file was measured."""

    dataset: Words
    split: Words
    command: str
    machine: str


class BuiltInModel(NamedEntry):
    """A model file in the package. Its figures are the scores in the file; they are not repeated here.

    Attributes:
        name: its name for `rapidseg.load`.
        recipe: the recipe that trained it.
        remark: what users must know before they rely on it.
        page: the page that describes it.
        scores: command and machine of each score in the file.
    """

    recipe: Words
    remark: Words
    page: Words
    scores: tuple[_ScoreOrigin, ...]

    @field_validator("scores")
    @classmethod
    def _check_duplicates(cls, scores: tuple[_ScoreOrigin, ...]) -> tuple[_ScoreOrigin, ...]:
        keys = [(score.dataset, score.split) for score in scores]
        if len(set(keys)) != len(keys):
            raise ValueError("duplicate data set and split")
        return scores

    def measurements(self, spec: ModelSpec) -> tuple[MeasuredScore, ...]:
        """Returns the scores in the file's specification, with the command and machine that gave them."""
        origins = {(score.dataset, score.split): score for score in self.scores}
        measurements = []
        for score in spec.scores:
            origin = origins.get((score.dataset, score.split))
            if origin is not None:
                measurements.append(
                    MeasuredScore(
                        quantity="mean_iou",
                        value=score.mean_iou,
                        command=origin.command,
                        data=f"{score.dataset} {score.split}, {score.protocol}",
                        machine=origin.machine,
                    )
                )
        return tuple(measurements)


class Reported(_Entry):
    """A figure in a paper or on a project's page that does not belong to a file of weights.

    Attributes:
        method: the method that was measured.
        data: the images that it was measured on.
        mean_iou_percent, frames_per_second: as printed; at least one of them.
        source: URL of the page.
    """

    method: Words
    data: Words
    mean_iou_percent: Percent | None = None
    frames_per_second: Positive | None = None
    source: Address

    @model_validator(mode="after")
    def _check_figures(self) -> Reported:
        if self.mean_iou_percent is None and self.frames_per_second is None:
            raise ValueError("state mean_iou_percent, frames_per_second or both")
        return self


class ArchitectureEntry(NamedEntry):
    """An architecture, as known without PyTorch. A test compares it with `rapidseg.models.ARCHITECTURES`.

    Attributes:
        name, paper, variants: as in the registry.
        reported: figures of its authors.
    """

    paper: Words
    variants: tuple[Words, ...] = Field(min_length=1)
    reported: tuple[Reported, ...] = ()

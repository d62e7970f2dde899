"""`ModelSpec`: everything that is needed to use trained weights."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import AfterValidator, AliasChoices, BaseModel, ConfigDict, Field, ValidationError

from rapidseg.core.choices import OutputKind
from rapidseg.core.errors import ModelFileError
from rapidseg.core.labels import LabelSet
from rapidseg.core.sizes import InputSize
from rapidseg.core.validation import explain_validation

FORMAT_VERSION = 1  # of the specifications that this version writes, and the newest that it reads
SPEC_KEY = "rapidseg.spec"  # metadata key of the specification (JSON) in ONNX and safetensors files

# RGB statistics of ImageNet for values of 0 to 255; nearly all published segmentation weights use them.
IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)


def _check_mean(mean: tuple[float, float, float]) -> tuple[float, float, float]:
    if not all(map(math.isfinite, mean)):
        raise ValueError(f"mean must be finite, not {mean}")
    return mean


def _check_std(std: tuple[float, float, float]) -> tuple[float, float, float]:
    if not all(math.isfinite(value) and value > 0 for value in std):
        raise ValueError(f"std must be positive, not {std}")
    return std


Mean = Annotated[tuple[float, float, float], AfterValidator(_check_mean)]
Std = Annotated[tuple[float, float, float], AfterValidator(_check_std)]


AnySpec = TypeVar("AnySpec", bound="StoredSpec")


class StoredSpec(BaseModel):
    """A specification that is stored as JSON in the metadata of a file of weights."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    KIND: ClassVar[str]  # in messages: "its KIND specification is not valid"
    ADVICE: ClassVar[str]  # what to do about a specification that is not valid

    def to_json(self) -> str:
        return self.model_dump_json()

    @classmethod
    def from_json(cls: type[AnySpec], text: str, *, where: str) -> AnySpec:
        """Reads a specification from JSON.

        Args:
            text: the JSON.
            where: the file it comes from, for messages.

        Raises:
            ModelFileError: the text is not a valid specification.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            newer = _newer_format(text)
            if newer is not None:
                raise ModelFileError(
                    f"{where}: its {cls.KIND} specification has format_version {newer}, and this version of rapidseg "
                    f"reads {FORMAT_VERSION}; update rapidseg, or {cls.ADVICE}"
                ) from error
            raise ModelFileError(
                f"{where}: its {cls.KIND} specification is not valid: {explain_validation(error, cls)}; {cls.ADVICE}"
            ) from error


def _newer_format(text: str) -> int | None:
    """Returns the format version of a specification that a newer version of rapidseg wrote; None for others."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return None
    version = content.get("format_version") if isinstance(content, dict) else None
    return version if type(version) is int and FORMAT_VERSION < version < 1 << 32 else None


class Score(BaseModel):
    """A measured accuracy, with the data and the protocol it was measured with.

    Attributes:
        dataset: data set of the labeled images.
        split: their split.
        mean_iou: from 0 to 1.
        mean_accuracy: from 0 to 1.
        pixel_accuracy: from 0 to 1.
        protocol: how images were shown to the network.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str
    split: str
    mean_iou: float = Field(ge=0, le=1)
    mean_accuracy: float | None = Field(default=None, ge=0, le=1)
    pixel_accuracy: float | None = Field(default=None, ge=0, le=1)
    protocol: str = "whole image, single scale"


Share = Annotated[float, Field(ge=0, le=1)]
Side = Annotated[int, Field(ge=32)]  # pixels


class Quantization(BaseModel):
    """How an INT8 file was quantized, and how much accuracy that cost.

    Attributes:
        dataset: data set of the calibration images and of the labels for scoring.
        calibration_split: split of the calibration images.
        calibration_images: number of calibration images.
        validation_split: the split for scoring.
        input_size: size at which the network saw the images: pixels of the shorter side, (height, width), or None
            for the size of each image.
        mean_iou_float32: before quantization, from 0 to 1.
        mean_iou: after quantization, from 0 to 1; layers that are not INT8 ran in float32.
        agreement: share of the validation pixels that have the same class as with the float32 file.
        fallback_layers: layers that stayed in floating point because INT8 cost too much accuracy.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str
    calibration_split: str
    calibration_images: int = Field(ge=1)
    validation_split: str
    # Files of version 0.1 call it `working_size`.
    input_size: InputSize | None = Field(default=None, validation_alias=AliasChoices("input_size", "working_size"))
    mean_iou_float32: Share
    mean_iou: Share
    agreement: Share
    # Files of version 0.1 call it `kept`.
    fallback_layers: tuple[str, ...] = Field(default=(), validation_alias=AliasChoices("fallback_layers", "kept"))


class ModelSpec(StoredSpec):
    """The specification that is stored in every model file. Nothing else is needed to use the file.

    Attributes:
        architecture: name for `rapidseg.models.create_model`, such as `fast-scnn`.
        options: named options of that architecture.
        labels: the classes, in the order of the logits' channels.
        mean: RGB values of 0 to 255 are normalized as (value - mean) / std.
        std: see `mean`.
        stride: input pixels per pixel of the logits, along each side.
        align_corners: whether the bilinear upsampling of the logits aligns the corner pixels.
        input_short_side: pixels of the shorter image side at which the model works best; images are resized to it,
            keeping their aspect ratio. None: images are used at their own size.
        static_size: (height, width) in pixels of the only images that a static file takes, one at a time; None: any.
        output: what the file returns. RapidSeg runs files that return logits; class maps are for other programs.
        dataset: what the weights were trained on, for people; `training_data` is readable for older files, too.
        trained_on: what the weights were trained on, as `dataset/split` entries; `training_splits` also knows it for
            older files, which have no such entries.
        scores: accuracies measured with these weights.
        license: terms of use of the weights.
        source: origin of the weights.
        checksum: SHA-256 of the weights (tensor names, shapes and values), independent of the file format.
        precisions: share of pixels with the same class as in float32, for each of `bf16` and `fp16` that was tried at
            export. In an INT8 file they concern the layers that are not INT8.
        quantization: how an INT8 file was quantized; None in other files.
    """

    KIND: ClassVar[str] = "model"
    ADVICE: ClassVar[str] = "export the model again with this version of rapidseg"

    format_version: int = Field(default=FORMAT_VERSION, ge=1, le=FORMAT_VERSION)
    architecture: str
    options: dict[str, Any] = Field(default_factory=dict)
    labels: LabelSet
    mean: Mean = IMAGENET_MEAN
    std: Std = IMAGENET_STD
    stride: int = Field(ge=1)
    align_corners: bool = False
    # Files of version 0.1 call it `working_short_side`.
    input_short_side: int | None = Field(
        default=None, ge=32, validation_alias=AliasChoices("input_short_side", "working_short_side")
    )
    static_size: tuple[Side, Side] | None = None
    output: OutputKind = "logits"
    dataset: str | None = None
    trained_on: tuple[str, ...] = ()
    scores: tuple[Score, ...] = ()
    # Files of version 0.1 spell it `licence`.
    license: str | None = Field(default=None, validation_alias=AliasChoices("license", "licence"))
    source: str | None = None
    checksum: str | None = None
    precisions: dict[str, Share] = Field(default_factory=dict)
    quantization: Quantization | None = None

    @property
    def default_input_size(self) -> InputSize | None:
        """The size at which the network sees an image where the caller passes none; None: the image's own."""
        return self.static_size or self.input_short_side

    @property
    def training_splits(self) -> tuple[str, ...]:
        """What the weights were trained on, as `dataset/split` entries; empty where the file does not say it."""
        return self.trained_on or _splits_in_text(self.dataset or "")

    @property
    def training_data(self) -> str | None:
        """What the weights were trained on, for people, such as `camvid train+val, streets train`."""
        return join_splits(self.training_splits) or self.dataset


def join_splits(entries: Sequence[str]) -> str:
    """Returns `dataset/split` entries for people, by data set: `camvid train+val, streets train`."""
    splits: dict[str, list[str]] = {}
    for entry in entries:
        name, _, split = entry.rpartition("/")
        splits.setdefault(name, []).append(split)
    return ", ".join(f"{name} {'+'.join(names)}" for name, names in splits.items())


def _splits_in_text(text: str) -> tuple[str, ...]:
    """Returns the `dataset/split` entries of a `dataset` text from before `trained_on`.

    The text is `NAMES SPLITS`, both joined with `+` and in order, such as `camvid+streets train+val+train`: a split
    that is repeated begins the splits of the next data set. Where that does not give as many groups as there are data
    sets, every data set gets every split: a warning too many is better than one too few.
    """
    names_text, _, splits_text = text.partition(" ")
    if not splits_text or " " in splits_text:
        return ()
    names = names_text.split("+")
    groups: list[list[str]] = [[]]
    for split in splits_text.split("+"):
        if split in groups[-1]:
            groups.append([])
        groups[-1].append(split)
    if len(groups) != len(names):
        groups = [list(dict.fromkeys(split for group in groups for split in group))] * len(names)
    return tuple(f"{name}/{split}" for name, group in zip(names, groups, strict=True) for split in group)

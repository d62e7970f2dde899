"""`ModelSpec`: everything that must be known about trained weights in order to use them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError, field_validator

from rapidseg.core.errors import ModelFileError
from rapidseg.core.labels import LabelSet
from rapidseg.core.validation import explain_validation

SPEC_KEY = "rapidseg.spec"  # where model files (ONNX and safetensors) keep the specification, as JSON

# RGB statistics of ImageNet on the scale of 0 to 255, as nearly all published segmentation weights use them.
IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)


class Score(BaseModel):
    """A measured figure: what was measured on which data, and how.

    `mean_iou`, `mean_accuracy` and `pixel_accuracy` are fractions from 0 to 1.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str
    split: str
    mean_iou: float = Field(ge=0, le=1)
    mean_accuracy: float | None = Field(default=None, ge=0, le=1)
    pixel_accuracy: float | None = Field(default=None, ge=0, le=1)
    protocol: str = "whole image, single scale"


Share = Annotated[float, Field(ge=0, le=1)]


class Quantization(BaseModel):
    """How an INT8 file was made, and what that cost.

    Attributes:
        dataset: whose images it was calibrated on, and whose labels it was scored with.
        calibration_split, calibration_images: which of them, and how many.
        validation_split: on which mean IoU was measured.
        input_size: at which size the network saw the images: pixels of the shorter side, (height, width), or None
            for the images' own.
        mean_iou_float32, mean_iou: before and after, with what is not INT8 in float32; from 0 to 1.
        agreement: share of the pixels of validation images that keep the class that the float32 file gives.
        fallback_layers: layers that stayed in floating point because they cost accuracy.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str
    calibration_split: str
    calibration_images: int = Field(ge=1)
    validation_split: str
    # Files of version 0.1 call it `working_size`.
    input_size: int | tuple[int, int] | None = Field(
        default=None, validation_alias=AliasChoices("input_size", "working_size")
    )
    mean_iou_float32: Share
    mean_iou: Share
    agreement: Share
    # Files of version 0.1 call it `kept`.
    fallback_layers: tuple[str, ...] = Field(default=(), validation_alias=AliasChoices("fallback_layers", "kept"))


class ModelSpec(BaseModel):
    """What a model file says about itself. Nothing else is needed to use the file.

    Attributes:
        architecture: name for `rapidseg.models.create_model`, such as `fast-scnn`.
        options: named options of that architecture.
        labels: the classes, in the order of the logits' channels.
        mean, std: subtracted from and divided into RGB values on the scale of 0 to 255.
        stride: input pixels for each pixel of the logits.
        align_corners: how logits are brought to the image's size by bilinear interpolation.
        input_short_side: pixels of the shorter image side at which the model works best; images are resized
            to it before the network, keeping their shape. None: images are used at their own size.
        dataset: what the weights were trained on.
        scores: figures measured with these weights.
        license, source: under what terms the weights may be used, and where they come from.
        checksum: SHA-256 of the weights (tensor names, shapes and values), independent of the file format.
        precisions: for other number types that the file was tried in when it was exported, `bf16` and `fp16`, the
            share of pixels that keep the class that float32 gives. In an INT8 file both are of what is not INT8.
        quantization: how an INT8 file was made; None in others.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: int = Field(default=1, ge=1)
    architecture: str
    options: dict[str, Any] = Field(default_factory=dict)
    labels: LabelSet
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    stride: int = Field(ge=1)
    align_corners: bool = False
    # Files of version 0.1 call it `working_short_side`.
    input_short_side: int | None = Field(
        default=None, ge=32, validation_alias=AliasChoices("input_short_side", "working_short_side")
    )
    dataset: str | None = None
    scores: tuple[Score, ...] = ()
    # Files of version 0.1 spell it `licence`.
    license: str | None = Field(default=None, validation_alias=AliasChoices("license", "licence"))
    source: str | None = None
    checksum: str | None = None
    precisions: dict[str, Share] = Field(default_factory=dict)
    quantization: Quantization | None = None

    @field_validator("std")
    @classmethod
    def _std_is_positive(cls, std: tuple[float, float, float]) -> tuple[float, float, float]:
        if min(std) <= 0:
            raise ValueError(f"std must be positive, not {std}")
        return std

    def to_json(self) -> str:
        return self.model_dump_json()

    @classmethod
    def from_json(cls, text: str, *, where: str) -> ModelSpec:
        """Reads a specification; `where` names the file for the message.

        Raises:
            ModelFileError: the text is not a valid specification.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise ModelFileError(
                f"{where}: its model specification is not valid: {explain_validation(error, ModelSpec)}; "
                "export the model again with this version of rapidseg"
            ) from error

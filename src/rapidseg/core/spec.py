"""`ModelSpec`: everything that must be known about trained weights in order to use them."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from rapidseg.core.errors import ModelFileError
from rapidseg.core.labels import LabelSet

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


class ModelSpec(BaseModel):
    """What a model file says about itself. Nothing else is needed to use the file.

    Attributes:
        architecture: name for `rapidseg.models.create_model`, such as `fast-scnn`.
        options: named options of that architecture.
        labels: the classes, in the order of the logits' channels.
        mean, std: subtracted from and divided into RGB values on the scale of 0 to 255.
        stride: input pixels for each pixel of the logits.
        align_corners: how logits are brought to the image's size by bilinear interpolation.
        working_short_side: pixels of the shorter image side at which the model works best; images are resized
            to it before the network, keeping their shape. None: images are used at their own size.
        dataset: what the weights were trained on.
        scores: figures measured with these weights.
        licence, source: under what terms the weights may be used, and where they come from.
        checksum: SHA-256 of the weights (tensor names, shapes and values), independent of the file format.
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
    working_short_side: int | None = Field(default=None, ge=32)
    dataset: str | None = None
    scores: tuple[Score, ...] = ()
    licence: str | None = None
    source: str | None = None
    checksum: str | None = None

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
            problem = error.errors()[0]
            key = ".".join(str(part) for part in problem["loc"])
            raise ModelFileError(
                f"{where}: its model specification is not valid at {key!r}: {problem['msg']}; "
                "export the model again with this version of rapidseg"
            ) from error

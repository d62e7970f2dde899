"""`EncoderSpec`: everything that is needed to use a pretrained encoder."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from rapidseg.core.sizes import SizeHW
from rapidseg.core.spec import FORMAT_VERSION, IMAGENET_MEAN, IMAGENET_STD, Mean, Std, StoredSpec

ENCODER_KEY = "rapidseg.encoder"  # metadata key of the specification (JSON) in safetensors files

EncoderNetwork = Literal["resnet18", "resnet34", "resnet50", "resnet101", "fast-scnn"]


class EncoderSpec(StoredSpec):
    """The specification that is stored in every encoder file.

    An encoder is the part of a network that turns an image into features. It is not a segmentation network; training
    runs start from it (`model.weights`, `model.backbone_weights`).

    Attributes:
        network: the network that the encoder is, or is a part of.
        options: of the network: of a ResNet `stem`, `stem_width` and `width`; of Fast-SCNN those of `FastScnnOptions`.
        feature_dim: D of the linear layer `fc`, from pooled features to D numbers; None without that layer.
        mean: RGB values of 0 to 255 are normalized as (value - mean) / std.
        std: see `mean`.
        image_size: (height, width) in pixels of the images in pretraining.
        method: of pretraining, such as `instance-discrimination`.
        dataset: what the encoder was trained on, as `dataset/split`.
        scores: measured accuracies by name, such as `knn_top1`, from 0 to 1.
        source: origin of the weights.
        license: terms of use of the weights.
        checksum: SHA-256 of the weights, as in `ModelSpec`.
    """

    KIND: ClassVar[str] = "encoder"
    ADVICE: ClassVar[str] = "write the file again with this version of rapidseg"

    format_version: int = Field(default=FORMAT_VERSION, ge=1, le=FORMAT_VERSION)
    network: EncoderNetwork
    options: dict[str, Any] = Field(default_factory=dict)
    feature_dim: int | None = Field(default=None, ge=1)
    mean: Mean = IMAGENET_MEAN
    std: Std = IMAGENET_STD
    image_size: SizeHW
    method: str
    dataset: str | None = None
    scores: dict[str, float] = Field(default_factory=dict)
    source: str | None = None
    license: str | None = None
    checksum: str | None = None


def explain_encoder(path: object, spec: EncoderSpec) -> str:
    """Returns the message for an encoder file where a segmentation network is needed."""
    key = "model.weights" if spec.network == "fast-scnn" else "model.weights or model.backbone_weights"
    return (
        f"{path} is an encoder ({spec.network}, pretrained by {spec.method}), not a segmentation network; start a "
        f"training run from it with the recipe's key {key}"
    )

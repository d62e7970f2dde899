"""The common base of FastFCN and its baselines: backbone, neck, head, auxiliary head, and their options."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from rapidseg.core.labels import LabelSet
from rapidseg.core.spec import ModelSpec
from rapidseg.models.heads import FcnHead, Head
from rapidseg.models.initialization import initialize
from rapidseg.models.jpu import Jpu, JpuX
from rapidseg.models.layers import scaled
from rapidseg.models.resnet import Depth, ResNet
from rapidseg.models.segmentation_model import SegmentationModel


class EncoderDecoderOptions(BaseModel):
    """Options of every network with a ResNet. The defaults are OpenMMLab's.

    Attributes:
        backbone: ResNet-18, -34, -50 or -101. Heads, neck and auxiliary head have the same widths on each.
        stem: `deep`, three 3x3 convolutions, or `plain`, one of 7x7.
        stem_width: channels of the deep stem's first two convolutions: 32 in OpenMMLab's ResNets, 64 in Hang Zhang's.
        aux_head: auxiliary head for training, on the backbone's third layer.
        align_corners: of every bilinear interpolation, including the last one to the size of the image.
        dropout: before each classifier, of whole channels.
        width: factor of all channel counts, for small test networks.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    backbone: Depth = "resnet50"
    stem: Literal["plain", "deep"] = "deep"  # CIFAR's keeps the size of the image, which is too large for streets
    stem_width: Literal[32, 64] = 32
    aux_head: bool = True
    align_corners: bool = False
    dropout: float = Field(default=0.1, ge=0, lt=1)
    width: float = Field(default=1.0, gt=0, le=4)


class DilatedOptions(EncoderDecoderOptions):
    """Options of networks whose backbone keeps its resolution by dilation.

    Attributes:
        output_stride: of the backbone and of the logits: 8 or 16 with dilation (D8 and D16 in OpenMMLab's names), or 32
            without (D32). The weights have the same shapes for all.
    """

    output_stride: Literal[8, 16, 32] = 8

    def make_backbone(self, *, multi_grid: Sequence[int] | None = None) -> ResNet:
        return ResNet(
            self.backbone,
            stem=self.stem,
            stem_width=self.stem_width,
            output_stride=self.output_stride,
            multi_grid=multi_grid,
            width=self.width,
        )


class EncoderDecoder(SegmentationModel):
    """A backbone, an optional neck and a head on the last feature; an auxiliary head on the feature before it.

    Args:
        architecture: name in the registry.
        labels: the classes.
        options: of the architecture.
        backbone: has `channels` and `strides` of its features.
        neck: between backbone and head, or None.
        head: built for the channels of the neck, or of the backbone if there is no neck.
    """

    def __init__(
        self,
        architecture: str,
        labels: LabelSet,
        options: EncoderDecoderOptions,
        backbone: ResNet,
        neck: Jpu | JpuX | None,
        head: Head,
    ) -> None:
        last = backbone if neck is None else neck
        super().__init__(
            ModelSpec(
                architecture=architecture,
                options=options.model_dump(mode="json"),
                labels=labels,
                stride=last.strides[-1],
                align_corners=options.align_corners,
            )
        )
        self.backbone = backbone
        self.neck = neck
        self.head = head
        self.aux_heads = nn.ModuleList()
        if options.aux_head:
            mid_channels = scaled(256, options.width)
            self.aux_heads.append(
                FcnHead(last.channels[:-1], mid_channels, labels.num_classes, dropout=options.dropout)
            )
        initialize(self)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self._features(images))
        return logits

    def forward_all(self, images: Tensor) -> dict[str, Tensor]:
        features = self._features(images)
        outputs: dict[str, Tensor] = self.head.forward_all(features)
        for i, head in enumerate(self.aux_heads):
            outputs[f"aux_{i}_logits"] = head(features[:-1])
        return outputs

    def _features(self, images: Tensor) -> Sequence[Tensor]:
        self.check_images(images)
        features: Sequence[Tensor] = self.backbone(images)
        return features if self.neck is None else self.neck(features)

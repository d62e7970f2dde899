"""Fast-SCNN: a shared shallow stem, a deep branch at 1/32 and a fusion at 1/8 of the image.

Poudel, Liwicki, Cipolla: Fast-SCNN: Fast Semantic Segmentation Network, BMVC 2019, arXiv 1902.04502. The layers
are those of its table 1; the authors published no code. Three implementations are in wide use (OpenMMLab's,
Tramac's and leftthomas's), and their weights only fit a network with the same details. Each detail is an option
here, and `VARIANTS` names the combinations. `docs/compatibility.md` lists them with their sources.
"""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from rapidseg.core.labels import LabelSet
from rapidseg.core.spec import ModelSpec
from rapidseg.models.heads import FcnHead
from rapidseg.models.initialization import Classifier, initialize
from rapidseg.models.layers import (
    Activation,
    ConvNormAct,
    InvertedResidual,
    Norm,
    PyramidPooling,
    SeparableConv,
    scaled,
    upsample,
)
from rapidseg.models.segmentation_model import SegmentationModel


class FastScnnOptions(BaseModel):
    """Every difference between published Fast-SCNN networks. The defaults are the paper's.

    Attributes:
        stem_padding: zero padding of the first convolution. With 1, a side of H becomes ceil(H / 2) as in the paper's
            table 1; with 0, one pixel less if H is even.
        depthwise_activation: ReLU between the depthwise and the pointwise half of a separable convolution; the
            paper omits it (section 3.2.1).
        bottleneck_activation: of the inverted residuals.
        pooling_kernel_size: of the convolution after pyramid pooling.
        pooled_first: pyramid pooling concatenates the averages before the feature map.
        fusion_dilation: of the depthwise convolution in feature fusion; table 3 sets it to the ratio of the two
            branches' resolutions.
        fusion_bias, fusion_norm: of the 1x1 convolutions in feature fusion.
        align_corners: of every bilinear interpolation, including the last one to the size of the image.
        aux_heads: auxiliary heads for training, named by their input: `deep` (1/32, after pyramid pooling) or `stem`
            (1/8, before the deep branch).
        dropout: before the classifier.
        width: factor of all channel counts, for small test networks.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    stem_padding: Literal[0, 1] = 1
    depthwise_activation: bool = False
    bottleneck_activation: Activation = "relu"
    pooling_kernel_size: Literal[1, 3] = 1
    pooled_first: bool = False
    fusion_dilation: Literal[1, 4] = 4
    fusion_bias: bool = False
    fusion_norm: bool = True
    align_corners: bool = False
    aux_heads: tuple[Literal["deep", "stem"], ...] = ()
    dropout: float = Field(default=0.1, ge=0, lt=1)
    width: float = Field(default=1.0, gt=0, le=4)


VARIANTS: dict[str, FastScnnOptions] = {
    "paper": FastScnnOptions(),
    "openmmlab": FastScnnOptions(
        bottleneck_activation="relu6",
        pooling_kernel_size=3,
        fusion_dilation=1,
        aux_heads=("deep", "stem"),
    ),
    "tramac": FastScnnOptions(
        stem_padding=0,
        depthwise_activation=True,
        fusion_dilation=1,
        fusion_bias=True,
        align_corners=True,
    ),
    "leftthomas": FastScnnOptions(
        pooled_first=True,
        fusion_bias=True,
        fusion_norm=False,
        align_corners=True,
    ),
}


class FastScnn(SegmentationModel):
    """Fast-SCNN (arXiv 1902.04502, figure 1). Logits are at 1/8 of the image."""

    def __init__(self, labels: LabelSet, options: FastScnnOptions) -> None:
        super().__init__(
            ModelSpec(
                architecture="fast-scnn",
                options=options.model_dump(mode="json"),
                labels=labels,
                stride=8,
                align_corners=options.align_corners,
            )
        )
        num_classes = labels.num_classes

        def channels(count: int) -> int:
            return scaled(count, options.width)

        stem, deep = channels(64), channels(128)
        depthwise_act: Activation = "relu" if options.depthwise_activation else "none"
        self.learning_to_downsample = nn.Sequential(
            ConvNormAct(3, channels(32), 3, stride=2, padding=options.stem_padding),
            SeparableConv(channels(32), channels(48), stride=2, depthwise_act=depthwise_act),
            SeparableConv(channels(48), stem, stride=2, depthwise_act=depthwise_act),
        )
        self.global_features = _bottlenecks(stem, (stem, channels(96), deep), options.bottleneck_activation)
        self.pyramid_pooling = PyramidPooling(
            deep,
            deep,
            kernel_size=options.pooling_kernel_size,
            pooled_first=options.pooled_first,
            align_corners=options.align_corners,
        )
        self.fusion = FeatureFusion(stem, deep, deep, options)
        self.classifier = nn.Sequential(
            SeparableConv(deep, deep, depthwise_act=depthwise_act),
            SeparableConv(deep, deep, depthwise_act=depthwise_act),
            nn.Dropout(options.dropout),
            Classifier(deep, num_classes),
        )
        aux_channels = {"stem": stem, "deep": deep}
        self.aux_features = options.aux_heads
        self.aux_heads = nn.ModuleList(
            FcnHead([aux_channels[name]], channels(32), num_classes, dropout=options.dropout)
            for name in options.aux_heads
        )
        initialize(self)

    def forward(self, images: Tensor) -> Tensor:
        return self._forward(images)[0]

    def forward_all(self, images: Tensor) -> dict[str, Tensor]:
        logits, features = self._forward(images)
        outputs = {"logits": logits}
        for i, (name, head) in enumerate(zip(self.aux_features, self.aux_heads, strict=True)):
            outputs[f"aux_{i}_logits"] = head([features[name]])
        return outputs

    def _forward(self, images: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        self.check_images(images)
        stem = self.learning_to_downsample(images)
        deep = self.pyramid_pooling(self.global_features(stem))
        return self.classifier(self.fusion(stem, deep)), {"stem": stem, "deep": deep}


class FeatureFusion(nn.Module):
    """Upsamples the deep branch to the size of the stem and adds both (section 3.2.3 and table 3)."""

    def __init__(self, stem_channels: int, deep_channels: int, out_channels: int, options: FastScnnOptions) -> None:
        super().__init__()
        self.align_corners = options.align_corners
        self.depthwise = ConvNormAct(
            deep_channels, deep_channels, 3, dilation=options.fusion_dilation, groups=deep_channels
        )
        bias = options.fusion_bias
        norm: Norm = "batch" if options.fusion_norm else "none"
        self.deep = ConvNormAct(deep_channels, out_channels, 1, bias=bias, norm=norm, act="none")
        self.stem = ConvNormAct(stem_channels, out_channels, 1, bias=bias, norm=norm, act="none")

    def forward(self, stem: Tensor, deep: Tensor) -> Tensor:
        deep = upsample(deep, (stem.shape[2], stem.shape[3]), align_corners=self.align_corners)
        return F.relu(self.stem(stem) + self.deep(self.depthwise(deep)))


def _bottlenecks(in_channels: int, widths: tuple[int, int, int], act: Activation) -> nn.Sequential:
    """Returns the nine inverted residuals of table 1: three per width; the first two groups halve the size."""
    layers = []
    for out_channels, stride in zip(widths, (2, 2, 1), strict=True):
        for i in range(3):
            layers.append(InvertedResidual(in_channels, out_channels, stride=stride if i == 0 else 1, act=act))
            in_channels = out_channels
    return nn.Sequential(*layers)

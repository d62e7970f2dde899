"""ResNet backbones: plain at stride 32, dilated at stride 8 or 16, with one of three stems.

He, Zhang, Ren, Sun: Deep Residual Learning for Image Recognition, CVPR 2016, arXiv 1512.03385 (table 1; 18, 34, 50 and
101 layers). The deep stem of three 3x3 convolutions is that of PSPNet, and of "bag of tricks" (arXiv 1812.01187,
section 4.1, ResNet-C). The stem for CIFAR's images of 32x32 pixels, one 3x3 convolution that keeps the size, is that of
the published ResNet-18 of instance discrimination (arXiv 1805.01978). Dilation instead of strides: Yu, Koltun,
Funkhouser, Dilated Residual Networks, arXiv 1705.09914.

Names of the tensors in `layer1` to `layer4` are those that every published ResNet has; only the stem's are our own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from rapidseg.core.errors import ConfigError
from rapidseg.models.layers import ConvNormAct, scaled
from rapidseg.models.resnet_blocks import BasicBlock, Bottleneck

Depth = Literal["resnet18", "resnet34", "resnet50", "resnet101"]
Stem = Literal["plain", "deep", "cifar"]

BLOCKS: dict[Depth, tuple[int, int, int, int]] = {
    "resnet18": (2, 2, 2, 2),
    "resnet34": (3, 4, 6, 3),
    "resnet50": (3, 4, 6, 3),
    "resnet101": (3, 4, 23, 3),
}
BASIC: tuple[Depth, ...] = ("resnet18", "resnet34")  # the others have bottlenecks
STEM_CHANNELS = 64  # of the plain stem and of CIFAR's

# By output stride: strides and dilations of layer1 to layer4. After a layer that keeps its size, all layers dilate.
STRIDES = {8: (1, 2, 1, 1), 16: (1, 2, 2, 1), 32: (1, 2, 2, 2)}
DILATIONS = {8: (1, 1, 2, 4), 16: (1, 1, 1, 2), 32: (1, 1, 1, 1)}


class ResNetOptions(BaseModel):
    """Options of a ResNet that is a network of its own, such as an encoder; `ResNet` explains them.

    Attributes:
        stem: `plain`, `deep` or `cifar`.
        stem_width: channels of the deep stem's first two convolutions.
        width: factor of all channel counts.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    stem: Stem = "deep"
    stem_width: Literal[32, 64] = 32
    width: float = Field(default=1.0, gt=0, le=4)


class ResNet(nn.Module):
    """A ResNet without its classifier.

    Args:
        depth: `resnet18` or `resnet34`, of basic blocks; `resnet50` or `resnet101`, of bottlenecks.
        stem: `plain`, one 7x7 convolution, or `deep`, three 3x3 ones, each followed by max pooling and at stride 4; or
            `cifar`, one 3x3 convolution at stride 1 without max pooling.
        stem_width: channels of the deep stem's first two convolutions; the third has twice as many. 32 in OpenMMLab's
            ResNet-C; 64 in Hang Zhang's ResNets, which the authors of FastFCN use.
        output_stride: 8, 16 or 32, with a stem at stride 4; a quarter of it with the stem `cifar`.
        dilations: of layer1 to layer4; None uses those that compensate for the smaller output stride. The first block
            of a dilated layer has half the dilation of its layer, as in all published code (OpenMMLab's
            `contract_dilation`): its input still has the dilation of the layer before.
        multi_grid: dilations of the blocks of layer4, overriding the others (arXiv 1706.05587, section 3.3).
        width: factor of all channel counts, for small test networks.

    Attributes:
        channels, strides: of the four features that `forward` returns.

    Raises:
        ConfigError: `multi_grid` has another length than layer4 has blocks.
    """

    def __init__(
        self,
        depth: Depth = "resnet50",
        *,
        stem: Stem = "deep",
        stem_width: int = 32,
        output_stride: Literal[8, 16, 32] = 32,
        dilations: Sequence[int] | None = None,
        multi_grid: Sequence[int] | None = None,
        width: float = 1.0,
    ) -> None:
        super().__init__()
        strides = STRIDES[output_stride]
        dilations = DILATIONS[output_stride] if dilations is None else dilations
        block = BasicBlock if depth in BASIC else Bottleneck
        if multi_grid is not None and len(multi_grid) != BLOCKS[depth][-1]:
            raise ConfigError(
                f"multi_grid has {len(multi_grid)} dilations, but layer4 of {depth} has {BLOCKS[depth][-1]} blocks; "
                "pass one dilation per block, or no multi_grid"
            )
        in_channels = scaled(2 * stem_width if stem == "deep" else STEM_CHANNELS, width)
        self.stem = _make_stem(stem, scaled(stem_width, width), in_channels)
        self.max_pool = nn.Identity() if stem == "cifar" else nn.MaxPool2d(3, 2, 1)
        layers: list[nn.Module] = []
        self.channels: tuple[int, ...] = ()
        self.strides: tuple[int, ...] = ()
        total_stride = 1 if stem == "cifar" else 4  # of the stem and the pooling after it
        for i, (num_blocks, stride, dilation) in enumerate(zip(BLOCKS[depth], strides, dilations, strict=True)):
            channels = scaled(STEM_CHANNELS * 2**i, width)
            grid = [max(1, dilation // 2)] + [dilation] * (num_blocks - 1)
            if multi_grid is not None and i == len(strides) - 1:
                grid = list(multi_grid)
            blocks = []
            for j, block_dilation in enumerate(grid):
                blocks.append(block(in_channels, channels, stride=stride if j == 0 else 1, dilation=block_dilation))
                in_channels = channels * block.expansion
            layers.append(nn.Sequential(*blocks))
            total_stride *= stride
            self.channels = (*self.channels, in_channels)
            self.strides = (*self.strides, total_stride)
        self.layer1, self.layer2, self.layer3, self.layer4 = layers

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Returns the outputs of the four layers for (N, 3, H, W) images; halved sides are rounded up."""
        c1 = self.layer1(self.max_pool(self.stem(images)))
        c2 = self.layer2(c1)
        c3 = self.layer3(c2)
        return c1, c2, c3, self.layer4(c3)


def _make_stem(stem: Stem, width: int, channels: int) -> nn.Sequential:
    """Returns a stem with `channels` channels; `width` are those of the deep stem's first two convolutions."""
    if stem == "plain":
        return nn.Sequential(ConvNormAct(3, channels, 7, stride=2))
    if stem == "cifar":
        return nn.Sequential(ConvNormAct(3, channels, 3))
    return nn.Sequential(
        ConvNormAct(3, width, 3, stride=2),
        ConvNormAct(width, width, 3),
        ConvNormAct(width, channels, 3),
    )

"""ResNet backbones: plain at stride 32, dilated at stride 8 or 16, with the plain or the deep stem.

He, Zhang, Ren, Sun: Deep Residual Learning for Image Recognition, CVPR 2016, arXiv 1512.03385 (table 1, 50 and 101
layers). The stride of a block is in its 3x3 convolution, as in all PyTorch weights. The deep stem of three 3x3
convolutions is that of PSPNet, and of "bag of tricks" (arXiv 1812.01187, section 4.1, ResNet-C). Dilation instead of
strides: Yu, Koltun, Funkhouser, Dilated Residual Networks, arXiv 1705.09914.

Names of the tensors in `layer1` to `layer4` are those that every published ResNet has; only the stem's are our own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn

from rapidseg.models.layers import ConvNormAct, scaled

Depth = Literal["resnet50", "resnet101"]
Stem = Literal["plain", "deep"]

BLOCKS: dict[Depth, tuple[int, int, int, int]] = {"resnet50": (3, 4, 6, 3), "resnet101": (3, 4, 23, 3)}
EXPANSION = 4  # ratio of a block's output channels to the channels of its 3x3 convolution
STEM_CHANNELS = 64  # of the plain stem

# By output stride: strides and dilations of layer1 to layer4. After a layer that keeps its size, all layers dilate.
STRIDES = {8: (1, 2, 1, 1), 16: (1, 2, 2, 1), 32: (1, 2, 2, 2)}
DILATIONS = {8: (1, 1, 2, 4), 16: (1, 1, 1, 2), 32: (1, 1, 1, 1)}


class Bottleneck(nn.Module):
    """Reduce channels, 3x3 convolution, expand channels, add the input (arXiv 1512.03385, figure 5)."""

    def __init__(self, in_channels: int, channels: int, *, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        out_channels = channels * EXPANSION
        self.conv1 = nn.Conv2d(in_channels, channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride, dilation, dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = nn.Conv2d(channels, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample: nn.Module | None = None
        if stride != 1 or in_channels != out_channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride, bias=False), nn.BatchNorm2d(out_channels)
            )

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        y += x if self.downsample is None else self.downsample(x)  # in place: the largest maps of the network
        return self.relu(y)


class ResNet(nn.Module):
    """ResNet-50 or -101 without its classifier.

    Args:
        depth: `resnet50` or `resnet101`.
        stem: `plain`, one 7x7 convolution; or `deep`, three 3x3 ones.
        stem_width: channels of the deep stem's first two convolutions; the third has twice as many. 32 in OpenMMLab's
            ResNet-C; 64 in Hang Zhang's ResNets, which the authors of FastFCN use.
        output_stride: 8, 16 or 32.
        dilations: of layer1 to layer4; None uses those that compensate for the smaller output stride. The first block
            of a dilated layer has half the dilation of its layer, as in all published code (OpenMMLab's
            `contract_dilation`): its input still has the dilation of the layer before.
        multi_grid: dilations of the blocks of layer4, overriding the others (arXiv 1706.05587, section 3.3).
        width: factor of all channel counts, for small test networks.

    Attributes:
        channels, strides: of the four features that `forward` returns.
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
        in_channels = scaled(STEM_CHANNELS if stem == "plain" else 2 * stem_width, width)
        self.stem = _plain_stem(in_channels) if stem == "plain" else _deep_stem(scaled(stem_width, width), in_channels)
        self.max_pool = nn.MaxPool2d(3, 2, 1)
        layers: list[nn.Module] = []
        self.channels: tuple[int, ...] = ()
        self.strides: tuple[int, ...] = ()
        total_stride = 4  # of the stem and the pooling after it
        for i, (num_blocks, stride, dilation) in enumerate(zip(BLOCKS[depth], strides, dilations, strict=True)):
            channels = scaled(STEM_CHANNELS * 2**i, width)
            grid = [max(1, dilation // 2)] + [dilation] * (num_blocks - 1)
            if multi_grid is not None and i == len(strides) - 1:
                grid = list(multi_grid)
            blocks = []
            for j, block_dilation in enumerate(grid):
                blocks.append(
                    Bottleneck(in_channels, channels, stride=stride if j == 0 else 1, dilation=block_dilation)
                )
                in_channels = channels * EXPANSION
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


def _plain_stem(channels: int) -> nn.Sequential:
    return nn.Sequential(ConvNormAct(3, channels, 7, stride=2))


def _deep_stem(width: int, channels: int) -> nn.Sequential:
    return nn.Sequential(
        ConvNormAct(3, width, 3, stride=2),
        ConvNormAct(width, width, 3),
        ConvNormAct(width, channels, 3),
    )

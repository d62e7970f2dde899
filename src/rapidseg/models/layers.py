"""Building blocks that several architectures share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Activation = Literal["relu", "relu6", "none"]
Norm = Literal["batch", "group", "none"]

GROUPS = 32  # of group normalization (Wu and He, arXiv 1803.08494, section 4.1)


def scaled(channels: int, width: float) -> int:
    """Returns `width` times `channels`, rounded to a multiple of 8, at least 8; for small test networks."""
    return max(8, round(channels * width / 8) * 8)


def activation(name: Activation) -> nn.Module:
    """Returns the activation layer of that name, in place if possible."""
    if name == "none":
        return nn.Identity()
    return nn.ReLU6(inplace=True) if name == "relu6" else nn.ReLU(inplace=True)


def normalization(name: Norm, channels: int) -> nn.Module:
    """Returns the normalization layer of that name."""
    if name == "none":
        return nn.Identity()
    # Fewer groups only in small test networks, which have too few channels.
    return nn.GroupNorm(math.gcd(GROUPS, channels), channels) if name == "group" else nn.BatchNorm2d(channels)


class ConvNormAct(nn.Module):
    """Convolution, normalization and activation.

    `bias` (of the convolution) and `norm` are options because published networks differ in them.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        stride: int = 1,
        padding: int | None = None,
        dilation: int = 1,
        groups: int = 1,
        bias: bool = False,
        norm: Norm = "batch",
        act: Activation = "relu",
    ) -> None:
        super().__init__()
        if padding is None:  # keeps the size at stride 1
            padding = dilation * (kernel_size // 2)
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias=bias)
        self.norm = normalization(norm, out_channels)
        self.act = activation(act)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.norm(self.conv(x)))


class SeparableConv(nn.Module):
    """Depthwise 3x3 convolution followed by a pointwise one (DSConv in the Fast-SCNN paper)."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        stride: int = 1,
        dilation: int = 1,
        norm: Norm = "batch",
        depthwise_act: Activation = "none",
    ) -> None:
        super().__init__()
        self.depthwise = ConvNormAct(
            in_channels,
            in_channels,
            3,
            stride=stride,
            dilation=dilation,
            groups=in_channels,
            norm=norm,
            act=depthwise_act,
        )
        self.pointwise = ConvNormAct(in_channels, out_channels, 1, norm=norm)

    def forward(self, x: Tensor) -> Tensor:
        return self.pointwise(self.depthwise(x))


class InvertedResidual(nn.Module):
    """The bottleneck of MobileNetV2 (arXiv 1801.04381, section 3.3): expand, depthwise convolution, project."""

    def __init__(
        self, in_channels: int, out_channels: int, *, stride: int, expansion: int = 6, act: Activation = "relu"
    ) -> None:
        super().__init__()
        hidden = in_channels * expansion
        self.expand = ConvNormAct(in_channels, hidden, 1, act=act)
        self.depthwise = ConvNormAct(hidden, hidden, 3, stride=stride, groups=hidden, act=act)
        self.project = ConvNormAct(hidden, out_channels, 1, act="none")
        self.has_shortcut = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        y = self.project(self.depthwise(self.expand(x)))
        return x + y if self.has_shortcut else y


def averaging_matrix(size: int, scales: Sequence[int], like: Tensor) -> Tensor:
    """Returns the (sum of scales, size) matrix whose product with a signal is its adaptive average pooling.

    Each scale of `n` bins has `n` rows; the scales are stacked. Bin `i` averages the positions from floor(i * size / n)
    to ceil((i + 1) * size / n), as PyTorch's `adaptive_avg_pool2d` does. The matrix is computed from `size` by
    arithmetic alone, so that an exported graph is right at every size, divisible or not, and an engine folds the matrix
    into a constant once it knows the size.
    """
    position = torch.arange(size, device=like.device).unsqueeze(0)
    index = torch.tensor([[i] for bins in scales for i in range(bins)], device=like.device)
    bins_of_row = torch.tensor([[bins] for bins in scales for _ in range(bins)], device=like.device)
    start = torch.div(index * size, bins_of_row, rounding_mode="floor")
    end = torch.div((index + 1) * size + bins_of_row - 1, bins_of_row, rounding_mode="floor")
    inside = ((position >= start) & (position < end)).to(like.dtype)
    return inside / (end - start).to(like.dtype)


def upsample(x: Tensor, size_hw: tuple[int, int], *, align_corners: bool) -> Tensor:
    """Resizes (N, C, h, w) features or logits to `size_hw` by bilinear interpolation."""
    return F.interpolate(x, size=size_hw, mode="bilinear", align_corners=align_corners)


class PyramidPooling(nn.Module):
    """Context at several scales: averages over 1x1, 2x2, 3x3 and 6x6 parts of the map (PSPNet, arXiv 1612.01105).

    A 1x1 convolution reduces each average to a quarter of the channels. The averages are upsampled, concatenated with
    the map, and fused by a last convolution.

    Args:
        kernel_size: of the last convolution.
        pooled_first: concatenate the averages before the map instead of after it.
        align_corners: of the interpolation of the averages.
    """

    SCALES = (1, 2, 3, 6)

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        kernel_size: int = 1,
        pooled_first: bool = False,
        align_corners: bool = False,
    ) -> None:
        super().__init__()
        pooled_channels = in_channels // len(self.SCALES)
        self.stages = nn.ModuleList(ConvNormAct(in_channels, pooled_channels, 1) for _ in self.SCALES)
        self.out = ConvNormAct(in_channels + pooled_channels * len(self.SCALES), out_channels, kernel_size)
        self.pooled_first = pooled_first
        self.align_corners = align_corners

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        # All scales share one product per side: rows and columns 0, 1-2, 3-5 and 6-11 of the result are the scales.
        pooled = averaging_matrix(height, self.SCALES, x) @ (x @ averaging_matrix(width, self.SCALES, x).T)
        features, first = [], 0
        for bins, stage in zip(self.SCALES, self.stages, strict=True):
            part = pooled[:, :, first : first + bins, first : first + bins]
            features.append(upsample(stage(part), (height, width), align_corners=self.align_corners))
            first += bins
        return self.out(torch.cat([*features, x] if self.pooled_first else [x, *features], dim=1))

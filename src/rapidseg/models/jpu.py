"""Joint pyramid upsampling: features at strides 8, 16 and 32 become one feature at stride 8.

Wu, Zhang, Huang, Liang, Yu: FastFCN: Rethinking Dilated Convolution in the Backbone for Semantic Segmentation, 2019,
arXiv 1903.11816 (section 3.3, figure 4). JPU_X is a later variant in the authors' code (`JPU_X` of
`encoding/nn/customize.py` in wuhuikai/FastFCN): it fuses two features at a time and uses group normalization.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from rapidseg.models.layers import ConvNormAct, Norm, SeparableConv, upsample


class Jpu(nn.Module):
    """Joint pyramid upsampling of the last three features to the size of the first of them.

    Args:
        in_channels: of each feature; the last three are used.
        in_strides: of each feature.
        channels: of each feature after its 3x3 convolution, and of each of the four dilated branches.
        deep_first: concatenate the coarsest feature first instead of the finest.
        align_corners: of the interpolation of the coarser features.

    Attributes:
        channels, strides: of the three features that `forward` returns.
    """

    DILATIONS = (1, 2, 4, 8)

    def __init__(
        self,
        in_channels: Sequence[int],
        in_strides: Sequence[int],
        channels: int,
        *,
        deep_first: bool = False,
        align_corners: bool = False,
    ) -> None:
        super().__init__()
        self.deep_first = deep_first
        self.align_corners = align_corners
        self.convs = nn.ModuleList(ConvNormAct(count, channels, 3) for count in in_channels[-3:])
        self.branches = _branches(channels * 3, channels, self.DILATIONS)
        self.channels = (*in_channels[-3:-1], channels * len(self.DILATIONS))
        self.strides = (*in_strides[-3:-1], in_strides[-3])

    def forward(self, features: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Returns the two finer of the last three features unchanged, and the joint feature."""
        fine, middle, coarse = features[-3:]
        size_hw = (fine.shape[2], fine.shape[3])
        parts = [self.convs[0](fine)]
        for conv, feature in zip(self.convs[1:], (middle, coarse), strict=True):
            parts.append(upsample(conv(feature), size_hw, align_corners=self.align_corners))
        x = torch.cat(parts[::-1] if self.deep_first else parts, dim=1)
        del parts
        return fine, middle, torch.cat([branch(x) for branch in self.branches], dim=1)


class JpuX(nn.Module):
    """The variant JPU_X: two joints in sequence, the first on the finer pair of features.

    Args: as for `Jpu`; `channels` are those of the second joint, the first has half of them.

    Attributes:
        channels, strides: of the three features that `forward` returns.
    """

    def __init__(
        self, in_channels: Sequence[int], in_strides: Sequence[int], channels: int, *, align_corners: bool = False
    ) -> None:
        super().__init__()
        fine, middle, coarse = in_channels[-3:]
        self.first = Joint(middle, fine, channels // 2, (1, 2, 4), align_corners=align_corners)
        self.second = Joint(coarse, self.first.out_channels, channels, (2, 4, 8), align_corners=align_corners)
        self.channels = (fine, middle, self.second.out_channels)
        self.strides = (*in_strides[-3:-1], in_strides[-3])

    def forward(self, features: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Returns the two finer of the last three features unchanged, and the joint feature."""
        fine, middle, coarse = features[-3:]
        return fine, middle, self.second(coarse, self.first(middle, fine))


class Joint(nn.Module):
    """Fuses a coarse and a fine feature at the size of the fine one, into `out_channels` channels."""

    def __init__(
        self,
        coarse_channels: int,
        fine_channels: int,
        channels: int,
        dilations: Sequence[int],
        *,
        align_corners: bool,
    ) -> None:
        super().__init__()
        self.align_corners = align_corners
        self.coarse = ConvNormAct(coarse_channels, channels, 3)
        self.fine = ConvNormAct(fine_channels, channels, 3)
        self.branches = _branches(channels * 2, channels, dilations, norm="group")
        self.out_channels = channels * (1 + len(dilations))

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        size_hw = (fine.shape[2], fine.shape[3])
        coarse = upsample(self.coarse(coarse), size_hw, align_corners=self.align_corners)
        x = torch.cat([coarse, self.fine(fine)], dim=1)
        return torch.cat([coarse, *(branch(x) for branch in self.branches)], dim=1)


def _branches(in_channels: int, channels: int, dilations: Sequence[int], *, norm: Norm = "batch") -> nn.ModuleList:
    return nn.ModuleList(SeparableConv(in_channels, channels, dilation=dilation, norm=norm) for dilation in dilations)

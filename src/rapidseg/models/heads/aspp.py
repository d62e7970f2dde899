"""The head of DeepLabV3: convolutions of several dilations on one feature map, and its average.

Chen, Papandreou, Schroff, Adam: Rethinking Atrous Convolution for Semantic Image Segmentation, 2017,
arXiv 1706.05587 (section 3.3, figure 5).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from rapidseg.models.heads.head import Head
from rapidseg.models.layers import ConvNormAct


class AsppHead(Head):
    """Atrous spatial pyramid pooling and a classifier.

    Args:
        in_channels: channels of each feature; the last feature is used.
        channels: of each branch and of all later layers.
        num_classes: number of classes K.
        dilations: of the 3x3 convolutions beside the 1x1 one; the paper's are for stride 8.
        pooled_first: concatenate the average before the convolutions instead of after them.
        projection: convolutions after the concatenated branches: one of 3x3 (`3x3`); or one of 1x1, as in the paper,
            dropout of a half and one of 3x3 (`1x1-3x3`).
        dropout: before the classifier.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        channels: int,
        num_classes: int,
        *,
        dilations: Sequence[int] = (12, 24, 36),
        pooled_first: bool = False,
        projection: Literal["3x3", "1x1-3x3"] = "3x3",
        dropout: float = 0.1,
    ) -> None:
        super().__init__(channels, num_classes, dropout=dropout)
        self.pooled_first = pooled_first
        self.pooled = ConvNormAct(in_channels[-1], channels, 1)
        self.branches = nn.ModuleList([ConvNormAct(in_channels[-1], channels, 1)])
        self.branches.extend(ConvNormAct(in_channels[-1], channels, 3, dilation=dilation) for dilation in dilations)
        concatenated_channels = channels * (len(dilations) + 2)
        if projection == "3x3":
            self.project = nn.Sequential(ConvNormAct(concatenated_channels, channels, 3))
        else:
            self.project = nn.Sequential(
                ConvNormAct(concatenated_channels, channels, 1), nn.Dropout2d(0.5), ConvNormAct(channels, channels, 3)
            )

    def forward_features(self, features: Sequence[Tensor]) -> Tensor:
        x = features[-1]
        # Bilinear interpolation of a single pixel repeats it, whatever align_corners is.
        pooled = self.pooled(x.mean((2, 3), keepdim=True)).expand(-1, -1, *x.shape[2:])
        branches = [branch(x) for branch in self.branches]
        return self.project(torch.cat([pooled, *branches] if self.pooled_first else [*branches, pooled], dim=1))

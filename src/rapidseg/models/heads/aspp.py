"""The head of DeepLabV3: the same map seen with several dilations, and its average.

Chen, Papandreou, Schroff, Adam: Rethinking Atrous Convolution for Semantic Image Segmentation, 2017,
arXiv 1706.05587 (section 3.3, figure 5).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from rapidseg.models.heads.base import Head
from rapidseg.models.layers import ConvNormAct


class AsppHead(Head):
    """Atrous spatial pyramid pooling and a classifier.

    Args:
        in_channels: channels of each feature; the last one is looked at.
        channels: of each branch and of all that follows.
        num_classes: number of classes K.
        dilations: of the 3x3 convolutions beside the 1x1 one; the paper's are for stride 8.
        pooled_first: the average joins before the convolutions instead of after them.
        projection: what follows the joined branches: one 3x3 convolution (`3x3`), or a 1x1 one, as in the paper, with
            dropout of a half and a 3x3 one behind it (`1x1-3x3`).
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
        joined_channels = channels * (len(dilations) + 2)
        if projection == "3x3":
            self.project = nn.Sequential(ConvNormAct(joined_channels, channels, 3))
        else:
            self.project = nn.Sequential(
                ConvNormAct(joined_channels, channels, 1), nn.Dropout2d(0.5), ConvNormAct(channels, channels, 3)
            )

    def mix(self, features: Sequence[Tensor]) -> Tensor:
        x = features[-1]
        # Bilinear interpolation of a single pixel repeats it, whatever align_corners is.
        pooled = self.pooled(x.mean((2, 3), keepdim=True)).expand(-1, -1, *x.shape[2:])
        branches = [branch(x) for branch in self.branches]
        return self.project(torch.cat([pooled, *branches] if self.pooled_first else [*branches, pooled], dim=1))

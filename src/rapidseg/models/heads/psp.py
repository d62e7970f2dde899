"""The head of PSPNet: pyramid pooling.

Zhao, Shi, Qi, Wang, Jia: Pyramid Scene Parsing Network, CVPR 2017, arXiv 1612.01105 (section 3.2, figure 3).
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from rapidseg.models.heads.head import Head
from rapidseg.models.layers import PyramidPooling


class PspHead(Head):
    """Pyramid pooling, a 3x3 convolution and a classifier.

    Args:
        in_channels: channels of each feature; the last feature is used.
        channels: between pyramid pooling and the classifier.
        num_classes: number of classes K.
        dropout: before the classifier.
        align_corners: of the interpolation of the averages.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        channels: int,
        num_classes: int,
        *,
        dropout: float = 0.1,
        align_corners: bool = False,
    ) -> None:
        super().__init__(channels, num_classes, dropout=dropout)
        self.pyramid_pooling = PyramidPooling(in_channels[-1], channels, kernel_size=3, align_corners=align_corners)

    def forward_features(self, features: Sequence[Tensor]) -> Tensor:
        return self.pyramid_pooling(features[-1])

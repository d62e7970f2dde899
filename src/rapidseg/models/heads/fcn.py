"""The head of the FCN family, as main and as auxiliary head."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from rapidseg.models.heads.head import Head
from rapidseg.models.layers import ConvNormAct


class FcnHead(Head):
    """A 3x3 convolution and a classifier.

    Args:
        in_channels: channels of each feature; the last feature is used.
        channels: between the convolution and the classifier.
        num_classes: number of classes K.
        dropout: before the classifier.
    """

    def __init__(self, in_channels: Sequence[int], channels: int, num_classes: int, *, dropout: float = 0.1) -> None:
        super().__init__(channels, num_classes, dropout=dropout)
        self.conv = ConvNormAct(in_channels[-1], channels, 3)

    def forward_features(self, features: Sequence[Tensor]) -> Tensor:
        return self.conv(features[-1])

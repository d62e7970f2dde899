"""The common base of all heads: dropout and a classifier after the layers of the head."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from torch import Tensor, nn

from rapidseg.models.initialization import Classifier


class Head(nn.Module, ABC):
    """Turns features into (N, K, h, w) logits at the size of the last feature.

    Args:
        in_channels: channels of the map that `forward_features` returns.
        num_classes: number of classes K.
        dropout: share of whole channels that training drops before the classifier.
    """

    def __init__(self, in_channels: int, num_classes: int, *, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout2d(dropout)
        self.classifier = Classifier(in_channels, num_classes)

    @abstractmethod
    def forward_features(self, features: Sequence[Tensor]) -> Tensor:
        """Returns the input of the classifier, (N, C, h, w), given the features of a backbone or neck, finest first."""

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Returns only the logits."""
        return self.classify(self.forward_features(features))

    def forward_all(self, features: Sequence[Tensor]) -> dict[str, Tensor]:
        """Returns `logits` and every other output of this head that a loss may use."""
        return {"logits": self(features)}

    def classify(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.dropout(x))
        return logits

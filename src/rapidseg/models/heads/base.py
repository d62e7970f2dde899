"""What every head has in common: dropout and a classifier behind its own layers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from torch import Tensor, nn

from rapidseg.models.initialization import Classifier


class Head(nn.Module, ABC):
    """Turns features into (N, K, h, w) logits at the size of the last feature.

    Args:
        in_channels: of what `mix` returns.
        num_classes: number of classes K.
        dropout: share of whole channels that training drops before the classifier.
    """

    def __init__(self, in_channels: int, num_classes: int, *, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout2d(dropout)
        self.classifier = Classifier(in_channels, num_classes)

    @abstractmethod
    def mix(self, features: Sequence[Tensor]) -> Tensor:
        """Returns what the classifier sees, computed from the features of a backbone or neck, finest first."""

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Returns the logits alone."""
        return self.classify(self.mix(features))

    def forward_all(self, features: Sequence[Tensor]) -> dict[str, Tensor]:
        """Returns `logits` and whatever else of this head a loss may want."""
        return {"logits": self(features)}

    def classify(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.dropout(x))
        return logits

"""Plain classification: the pre-training on ImageNet of the Fast-SCNN paper (arXiv 1902.04502, section 4.3)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from rapidseg.pretraining.encoder import Encoder
from rapidseg.pretraining.methods.method import Method, PretrainingBatch


class Supervised(Method):
    """Average pooling, a linear layer and softmax cross-entropy.

    Args:
        encoder: without a linear layer of its own.
        num_classes: K.
        label_smoothing: share of the target that is spread over all classes, from 0 to below 1.
    """

    learns_classes = True

    def __init__(self, encoder: Encoder, num_classes: int, label_smoothing: float = 0.0) -> None:
        super().__init__(encoder)
        self.classifier = nn.Linear(encoder.num_channels, num_classes)
        self.label_smoothing = label_smoothing

    def loss(self, batch: PretrainingBatch) -> Tensor:
        assert batch.labels is not None
        logits = self.class_logits(batch.views[0])
        return F.cross_entropy(logits.float(), batch.labels, label_smoothing=self.label_smoothing)

    def class_logits(self, images: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.encoder.pooled(images))
        return logits

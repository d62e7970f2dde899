"""The semantic encoding loss: which classes occur in an image, wherever they are."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class SemanticEncodingLoss(nn.Module):
    """Mean binary cross-entropy between logits and the presence of each class in the labels.

    This is the SE loss of EncNet (arXiv 1803.08904, section 3.1), in which large and small objects count alike. A class
    is present if at least one pixel has it; ignored pixels do not count. Computed in float32, under autocast too.

    Args:
        ignore_index: label of pixels that are ignored.
    """

    def __init__(self, *, ignore_index: int) -> None:
        super().__init__()
        self.ignore_index = ignore_index

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Computes the loss.

        Args:
            logits: (N, K), any floating-point dtype.
            labels: (N, H, W), integer class ids from 0 to K-1 or `ignore_index`.

        Returns:
            The loss, a float32 scalar.
        """
        num_classes = logits.shape[1]
        classes = labels.long().flatten(1)
        classes = classes.where(classes != self.ignore_index, num_classes)  # an extra column, dropped below
        present = torch.zeros(len(labels), num_classes + 1, device=labels.device).scatter_(1, classes, 1)
        with torch.autocast(logits.device.type, enabled=False):
            return F.binary_cross_entropy_with_logits(logits.float(), present[:, :num_classes])

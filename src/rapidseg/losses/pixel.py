"""Cross-entropy over pixels: a softmax over the classes, or one sigmoid per class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rapidseg.core.errors import ConfigError
from rapidseg.losses.ohem import Ohem


class PixelLoss(nn.Module):
    """The mean of a loss over pixels. Ignored pixels contribute neither loss nor gradient.

    A batch whose pixels are all ignored has a loss of 0 and gradients of 0. The loss is computed in float32, whatever
    the dtype of the logits, under autocast too.

    Args:
        kind: `softmax`, the usual cross-entropy; or `sigmoid`, the mean over the classes of the binary
            cross-entropy between each class's sigmoid and its one-hot label, as OpenMMLab trains Fast-SCNN.
        num_classes: number of classes K.
        ignore_index: label of pixels that are ignored.
        reduction: the divisor of the sum over pixels: the number of `labeled` pixels (with `ohem`, of selected pixels),
            or of `all_pixels`, ignored ones included, as in OpenMMLab.
        class_weights: K factors, one per class. The loss is not divided by them: keep their mean over the pixels near
            1, as `balanced_class_weights` does, so that it keeps its scale.
        label_smoothing: share of the target that is spread evenly over all classes (Szegedy et al.,
            arXiv 1512.00567, section 7).
        ohem: selects the pixels that contribute; None: all of them.
    """

    class_weights: Tensor | None

    def __init__(
        self,
        kind: Literal["softmax", "sigmoid"],
        *,
        num_classes: int,
        ignore_index: int,
        reduction: Literal["labeled", "all_pixels"] = "labeled",
        class_weights: Sequence[float] | None = None,
        label_smoothing: float = 0.0,
        ohem: Ohem | None = None,
    ) -> None:
        super().__init__()
        self.kind = kind
        self.ignore_index = ignore_index
        self.reduction = reduction
        self.label_smoothing = label_smoothing
        self.ohem = ohem
        weights = None
        if class_weights is not None:
            if len(class_weights) != num_classes:
                raise ConfigError(f"{len(class_weights)} class weights for {num_classes} classes; pass one per class")
            weights = torch.tensor(class_weights, dtype=torch.float32)
        self.register_buffer("class_weights", weights, persistent=False)

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Computes the loss.

        Args:
            logits: (N, K, H, W), any floating-point dtype.
            labels: (N, H, W), integer class ids from 0 to K-1 or `ignore_index`.

        Returns:
            The loss, a float32 scalar.
        """
        labels = labels.long()
        with torch.autocast(logits.device.type, enabled=False):
            logits = logits.float()
            labeled = labels != self.ignore_index
            losses = self._losses(logits, labels, labeled)
            if self.class_weights is not None:
                losses = losses * self.class_weights[labels.where(labeled, 0)]
            selected = labeled
            if self.ohem is not None:
                selected = self.ohem.select(logits, labels, losses, labeled)
                losses = losses * selected
            divisor = losses.numel() if self.reduction == "all_pixels" else selected.sum().clamp(min=1)
            return losses.sum() / divisor

    def _losses(self, logits: Tensor, labels: Tensor, labeled: Tensor) -> Tensor:
        """Returns the (N, H, W) loss of each pixel, 0 where it is ignored."""
        if self.kind == "softmax":
            return F.cross_entropy(
                logits,
                labels,
                ignore_index=self.ignore_index,
                reduction="none",
                label_smoothing=self.label_smoothing,
            )
        # The binary cross-entropy of logit x and target y is softplus(x) - x y, so it needs no one-hot labels.
        target_logits = logits.gather(1, labels.where(labeled, 0)[:, None])[:, 0]
        if self.label_smoothing:
            target_logits = torch.lerp(target_logits, logits.mean(1), self.label_smoothing)
        losses = (F.softplus(logits).sum(1) - target_logits) / logits.shape[1]
        return losses.where(labeled, 0)

"""Online hard example mining: only the pixels that the network finds hard are learned."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from rapidseg.core.errors import ConfigError


@dataclass(frozen=True)
class Ohem:
    """Chooses hard pixels of a batch (Shrivastava et al., arXiv 1604.03540; for pixels, Wu et al., arXiv 1605.06885).

    With a threshold, hard are the pixels whose labeled class has a softmax probability below it, and if these are
    fewer than wanted, the least probable ones up to that number; this is OpenMMLab's `OHEMPixelSampler`. Without a
    threshold, hard are the pixels of the highest loss, in the number wanted.

    The number wanted is given in one of two ways.

    Attributes:
        threshold: probability from 0 to 1, usually 0.7; None takes a fixed number.
        min_kept: pixels an image, multiplied by the number of images.
        kept_share: share of the batch's labeled pixels, above 0 and up to 1; independent of the crop's size.
    """

    threshold: float | None = None
    min_kept: int | None = None
    kept_share: float | None = None

    def __post_init__(self) -> None:
        if (self.min_kept is None) == (self.kept_share is None):
            raise ConfigError("OHEM needs either min_kept (pixels an image) or kept_share (share of labeled pixels)")

    @torch.no_grad()
    def choose(self, logits: Tensor, labels: Tensor, losses: Tensor, labeled: Tensor) -> Tensor:
        """Returns an (N, H, W) bool mask of the pixels that count, all of them labeled.

        Args:
            logits: (N, K, H, W) float32.
            labels: (N, H, W) int64.
            losses: (N, H, W) float32, the loss of each pixel.
            labeled: (N, H, W) bool, False where a pixel is ignored.
        """
        total = int(labeled.sum())
        wanted = self.min_kept * len(labels) if self.min_kept is not None else round((self.kept_share or 0) * total)
        wanted = max(wanted, 1)
        if wanted >= total:
            return labeled
        if self.threshold is None:
            return labeled & (losses >= _largest(losses[labeled], wanted))
        classes = labels.where(labeled, 0)[:, None]
        log_probabilities = logits.gather(1, classes)[:, 0] - logits.logsumexp(1)
        hardness = -log_probabilities
        hard = log_probabilities.exp() < self.threshold
        return labeled & (hard | (hardness >= _largest(hardness[labeled], wanted)))


def _largest(values: Tensor, rank: int) -> Tensor:
    """Returns the value that `rank` of the values reach, 1 being the largest; a selection, cheaper than a sort."""
    return values.kthvalue(len(values) - rank + 1).values

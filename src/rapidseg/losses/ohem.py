"""Online hard example mining: the loss counts only the pixels that the network finds hard."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from rapidseg.core.errors import ConfigError


@dataclass(frozen=True)
class Ohem:
    """Selects hard pixels of a batch (Shrivastava et al., arXiv 1604.03540; for pixels, Wu et al., arXiv 1605.06885).

    With a threshold, it selects the pixels whose labeled class has a softmax probability below it. If these are fewer
    than the minimum, it selects the least probable pixels up to the minimum; this is OpenMMLab's `OHEMPixelSampler`.
    Without a threshold, it selects the pixels with the highest loss, as many as the minimum says.

    Set `min_kept` or `kept_share` as the minimum.

    Attributes:
        threshold: probability from 0 to 1, usually 0.7; None selects a fixed number of pixels.
        min_kept: pixels per image, multiplied by the number of images.
        kept_share: share of the batch's labeled pixels, above 0 and up to 1; independent of the crop's size.
    """

    threshold: float | None = None
    min_kept: int | None = None
    kept_share: float | None = None

    def __post_init__(self) -> None:
        if (self.min_kept is None) == (self.kept_share is None):
            raise ConfigError(
                "OHEM needs either min_kept (pixels per image) or kept_share (share of the labeled pixels)"
            )

    @torch.no_grad()
    def select(self, logits: Tensor, labels: Tensor, losses: Tensor, labeled: Tensor) -> Tensor:
        """Returns an (N, H, W) bool mask of the selected pixels, all of them labeled.

        Args:
            logits: (N, K, H, W) float32.
            labels: (N, H, W) int64.
            losses: (N, H, W) float32, loss per pixel.
            labeled: (N, H, W) bool, False where a pixel is ignored.
        """
        total = int(labeled.sum())
        minimum = self.min_kept * len(labels) if self.min_kept is not None else round((self.kept_share or 0) * total)
        minimum = max(minimum, 1)
        if minimum >= total:
            return labeled
        if self.threshold is None:
            return labeled & (losses >= _largest(losses[labeled], minimum))
        classes = labels.where(labeled, 0)[:, None]
        log_probabilities = logits.gather(1, classes)[:, 0] - logits.logsumexp(1)
        hardness = -log_probabilities
        hard = log_probabilities.exp() < self.threshold
        return labeled & (hard | (hardness >= _largest(hardness[labeled], minimum)))


def _largest(values: Tensor, rank: int) -> Tensor:
    """Returns the `rank`-th largest of the values; a selection, cheaper than a sort."""
    return values.kthvalue(len(values) - rank + 1).values

"""What every pre-training method provides."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rapidseg.pretraining.encoder import Encoder


@dataclass(frozen=True, eq=False)
class PretrainingBatch:
    """A batch as a method sees it; all tensors are on its device.

    Attributes:
        views: `num_views` augmented versions of the images, each (B, 3, H, W) float32, normalized.
        indices: (B,) int64, which image of the data set each row is.
        labels: (B,) int64 class ids; None for images without classes.
        generator: of random numbers on the device, seeded for this step.
    """

    views: tuple[Tensor, ...]
    indices: Tensor
    labels: Tensor | None
    generator: torch.Generator


class Method(nn.Module, ABC):
    """A way to train an encoder. Its parameters are optimized; its buffers and networks are saved with the run.

    Attributes:
        encoder: the network that is kept after the run.
        num_views: augmented versions of each image in a batch.
        learns_classes: whether it needs labels and has a classifier, which is then scored; the features of other
            methods are scored by nearest neighbors.
    """

    num_views: int = 1
    learns_classes: bool = False

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder

    @abstractmethod
    def loss(self, batch: PretrainingBatch) -> Tensor:
        """Returns the loss of a batch, a scalar."""

    def after_step(self, batch: PretrainingBatch, progress: float) -> None:
        """Updates whatever the optimizer does not.

        Args:
            batch: that the step was computed from.
            progress: share of the run that is done, from 0 to 1.
        """

    def class_logits(self, images: Tensor) -> Tensor:
        """Returns (B, K) logits for (B, 3, H, W) normalized images, of a method that learns classes."""
        raise NotImplementedError(f"{type(self).__name__} learns no classes")

"""The contract that every segmentation model keeps."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from rapidseg.core.errors import InputError
from rapidseg.core.spec import ModelSpec
from rapidseg.imaging import MINIMUM_SIDE
from rapidseg.models.layers import upsample


class SegmentationModel(nn.Module, ABC):
    """A network from normalized images to logits at its own stride.

    Attributes:
        spec: what must be known to use the weights; replace it with `model.spec.model_copy(update=...)`.
    """

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.spec = spec

    @abstractmethod
    def forward_all(self, images: Tensor) -> dict[str, Tensor]:
        """Computes everything that a loss may want.

        Args:
            images: (N, 3, H, W) normalized RGB, each side 32 pixels or more.

        Returns:
            `logits` (N, K, h, w); of a head that says which classes are in the image, `se_logits` (N, K); and, for each
            auxiliary head i, `aux_i_logits` (N, K, h_i, w_i).
        """

    @abstractmethod
    def forward(self, images: Tensor) -> Tensor:
        """Returns the (N, K, h, w) logits alone, in training and in evaluation mode."""

    def upsample(self, logits: Tensor, size_hw: tuple[int, int]) -> Tensor:
        """Brings logits to `size_hw` by bilinear interpolation with the model's own `align_corners`."""
        return upsample(logits, size_hw, align_corners=self.spec.align_corners)

    @staticmethod
    def check_images(images: Tensor) -> None:
        """Refuses input that is not a batch of RGB images of 32x32 pixels or more.

        Raises:
            InputError: the shape is not (N, 3, H, W) with H and W of at least 32.
        """
        shape = tuple(images.shape)
        if len(shape) != 4 or shape[1] != 3:
            raise InputError(f"images must have shape (N, 3, H, W), not {shape}")
        if shape[2] < MINIMUM_SIDE or shape[3] < MINIMUM_SIDE:
            raise InputError(
                f"images must be at least {MINIMUM_SIDE}x{MINIMUM_SIDE} pixels, not {shape[2]}x{shape[3]}; enlarge"
            )

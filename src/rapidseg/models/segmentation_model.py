"""The interface of every segmentation model."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from pathlib import Path

from torch import Tensor, nn

from rapidseg.core.errors import InputError
from rapidseg.core.sizes import format_size
from rapidseg.core.spec import ModelSpec
from rapidseg.imaging import MINIMUM_SIDE
from rapidseg.models import pretrained
from rapidseg.models.layers import upsample


class SegmentationModel(nn.Module, ABC):
    """A network from normalized images to logits at its own stride.

    Attributes:
        spec: the model's specification; replace it with `model.spec.model_copy(update=...)`.
    """

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.spec: ModelSpec = spec

    @abstractmethod
    def forward_all(self, images: Tensor) -> dict[str, Tensor]:
        """Computes every output that a loss may use.

        Args:
            images: (N, 3, H, W) normalized RGB, each side 32 pixels or more.

        Returns:
            `logits` (N, K, h, w); `se_logits` (N, K) of a head that predicts which classes occur in the image; and
            `aux_i_logits` (N, K, h_i, w_i) of each auxiliary head i.
        """

    @abstractmethod
    def forward(self, images: Tensor) -> Tensor:
        """Returns only the (N, K, h, w) logits, in training and in evaluation mode."""

    def upsample(self, logits: Tensor, size_hw: tuple[int, int]) -> Tensor:
        """Resizes logits to `size_hw` by bilinear interpolation with the model's own `align_corners`."""
        return upsample(logits, size_hw, align_corners=self.spec.align_corners)

    def save_pretrained(self, folder: str | os.PathLike[str]) -> Path:
        """Writes the model to a folder, which `from_pretrained` and `rapidseg.load` read.

        Args:
            folder: created if missing; gets `model.safetensors` (weights and specification), `spec.json` (the
                specification to look at) and `README.md`, a model card.

        Returns:
            The folder.

        Raises:
            InputError: `folder` is a file.
            RapidSegError: a file cannot be written.
        """
        return pretrained.save_pretrained(self, folder)

    @staticmethod
    def from_pretrained(source: str | os.PathLike[str]) -> SegmentationModel:
        """Loads a model in evaluation mode on the CPU.

        Args:
            source: a folder that `save_pretrained` wrote; the name of the built-in model, `fast-scnn-camvid`, or of a
                published one, such as `fast-scnn-cityscapes`, whose checkpoint is downloaded once; or a checkpoint file
                of RapidSeg or of a published implementation, or its URL.

        Raises:
            ModelFileError: it does not exist, is damaged or of an unknown layout.
            RapidSegError: the download fails, or its file is not the published one.
        """
        return pretrained.from_pretrained(source)

    @staticmethod
    def check_images(images: Tensor) -> None:
        """Rejects input that is not a batch of RGB images of at least 32x32 pixels.

        Raises:
            InputError: the shape is not (N, 3, H, W) with H and W of at least 32.
        """
        shape = tuple(images.shape)
        if len(shape) != 4 or shape[1] != 3:
            raise InputError(f"images must have shape (N, 3, H, W), not {shape}")
        if shape[2] < MINIMUM_SIDE or shape[3] < MINIMUM_SIDE:
            raise InputError(
                f"images must be at least {MINIMUM_SIDE}x{MINIMUM_SIDE} pixels, not {format_size(shape[2:])}; "
                "enlarge them"
            )

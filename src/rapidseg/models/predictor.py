"""Prediction with PyTorch, for scoring a model before it is exported."""

from __future__ import annotations

import numpy as np
import torch

from rapidseg.imaging import resize_image, working_size_hw
from rapidseg.models.base import SegmentationModel
from rapidseg.runtime.class_map import class_map_from_logits


class TorchPredictor:
    """Turns images into class maps just as `rapidseg.load` does, but with the PyTorch model itself.

    Args:
        model: on any device, in float32; each call puts it into evaluation mode and back into the mode it was in.
        working_size: pixels of the shorter side, or (height, width), at which the network sees images; None: what
            the model's specification says, or else the image's own size.
    """

    def __init__(self, model: SegmentationModel, *, working_size: int | tuple[int, int] | None = None) -> None:
        self._model = model
        self._working_size = model.spec.working_short_side if working_size is None else working_size

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Returns the (H, W) uint8 class map of an (H, W, 3) uint8 RGB image."""
        model, spec = self._model, self._model.spec
        image_hw = (image.shape[0], image.shape[1])
        size_hw = working_size_hw(image_hw, self._working_size, spec.stride)
        device = next(model.parameters()).device
        pixels = torch.from_numpy(np.ascontiguousarray(resize_image(image, size_hw))).to(device)
        mean = torch.tensor(spec.mean, device=device).view(1, 3, 1, 1)
        std = torch.tensor(spec.std, device=device).view(1, 3, 1, 1)
        training = model.training
        try:
            with torch.inference_mode():
                normalized = (pixels[None].permute(0, 3, 1, 2).float() - mean) / std
                logits = model.eval()(normalized)[0].float().cpu().contiguous().numpy()
        finally:
            model.train(training)
        return class_map_from_logits(logits, image_hw, align_corners=spec.align_corners)

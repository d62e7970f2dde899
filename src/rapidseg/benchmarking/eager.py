"""The baseline: eager PyTorch, run as published code runs it. The only file here that needs PyTorch.

An image in memory becomes a normalized, contiguous tensor (1, 3, H, W). The network runs in evaluation mode without
gradients. Its logits are interpolated to the image's size, and the argmax is taken. No compilation, fusion or
`channels_last`.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.functional import interpolate

from rapidseg.benchmarking.interleaving import Samples, repeat_for
from rapidseg.core.errors import EngineError
from rapidseg.imaging import read_image
from rapidseg.importing import load_checkpoint
from rapidseg.models.weights_file import weights_checksum
from rapidseg.system.cpu import cpu_count


class EagerWorkload:
    """A checkpoint in eager PyTorch, in float32."""

    def __init__(self, checkpoint: Path, image: Path, device: str) -> None:
        """Loads the checkpoint and runs it once.

        Args:
            checkpoint: a file that `load_checkpoint` reads.
            image: the image to segment.
            device: "cpu", "cuda", or "auto" for the CPU.

        Raises:
            EngineError: the device is not available.
            ModelFileError: the checkpoint cannot be read.
        """
        if device not in ("auto", "cpu") and not torch.cuda.is_available():
            raise EngineError(f"PyTorch: device {device!r} not found; available: cpu")
        self._device = torch.device("cpu" if device == "auto" else device)
        if self._device.type == "cpu":
            # Only ever lowered, to a container's quota: PyTorch knows affinity and OMP_NUM_THREADS itself.
            torch.set_num_threads(min(torch.get_num_threads(), cpu_count()))
        self._model = load_checkpoint(checkpoint).eval().to(self._device)
        self._image = read_image(image)
        spec = self._model.spec
        self._mean = torch.tensor(spec.mean, device=self._device).view(1, 3, 1, 1)
        self._std = torch.tensor(spec.std, device=self._device).view(1, 3, 1, 1)
        self.class_map()

    def describe(self) -> dict[str, Any]:
        """Returns engine, precision, device and version, and the checksum of the weights."""
        return {
            "engine": "torch",
            "precision": "float32",
            "device": str(self._device),
            "torch": torch.__version__,
            "checksum": weights_checksum(self._model.state_dict()),
        }

    def measure(self, seconds: float) -> Samples:
        """Returns `path`: milliseconds of each image, from memory to memory."""
        samples: Samples = {"path": []}
        for _ in repeat_for(seconds):
            start = time.perf_counter()
            self.class_map()
            samples["path"].append(1e3 * (time.perf_counter() - start))
        return samples

    def class_map(self) -> np.ndarray:
        """Returns the (H, W) uint8 class map of the image, in CPU memory, so the device has finished."""
        with torch.inference_mode():
            pixels = torch.from_numpy(self._image).to(self._device)
            images = (pixels.permute(2, 0, 1)[None].float().contiguous() - self._mean) / self._std
            logits = self._model(images)
            size_hw = (self._image.shape[0], self._image.shape[1])
            full = interpolate(logits, size_hw, mode="bilinear", align_corners=self._model.spec.align_corners)
            class_map: np.ndarray = full.argmax(1)[0].to(torch.uint8).cpu().numpy()
        return class_map

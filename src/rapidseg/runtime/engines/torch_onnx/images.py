"""Copies images to a device and back; resizes and normalizes them there."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


class Normalizer:
    """Normalizes images on a device."""

    def __init__(self, mean: Sequence[float], std: Sequence[float], device: torch.device) -> None:
        """Takes mean and std per channel, on a scale from 0 to 255."""
        self._mean = torch.tensor(mean, dtype=torch.float32, device=device).view(1, 3, 1, 1)
        self._std = torch.tensor(std, dtype=torch.float32, device=device).view(1, 3, 1, 1)
        self._shift, self._scale = -self._mean / self._std, 1 / self._std

    def __call__(self, images: Tensor, out: Tensor) -> Tensor:
        """Writes (image - mean) / std into `out` and returns it.

        Args:
            images: (N, H, W, 3) uint8 RGB.
            out: (N, 3, H, W) floating point, channels last in memory.
        """
        planes = images.permute(0, 3, 1, 2)
        if out.dtype == torch.float32:  # bit for bit what the model file computes
            return torch.sub(planes, self._mean, out=out).div_(self._std)
        return torch.addcmul(self._shift, planes, self._scale, out=out)  # computed in float32, rounded once; one pass


def to_device(images: np.ndarray, device: torch.device) -> Tensor:
    """Copies images to a device; to a GPU through pinned memory, without waiting for it."""
    images = np.require(images, requirements=["C"])
    if device.type != "cuda":
        return torch.from_numpy(images if images.flags.writeable else images.copy()).to(device)
    # PyTorch's pool reuses pinned memory only after the copy from it has finished.
    pinned = torch.empty(images.shape, dtype=torch.uint8, pin_memory=True)
    np.copyto(pinned.numpy(), images)
    return pinned.to(device, non_blocking=True)


def to_host(tensor: Tensor) -> np.ndarray:
    """Copies a tensor to an array; waits until it is computed."""
    if tensor.device.type != "cuda":
        return tensor.numpy()
    copied = tensor.to("cpu", non_blocking=True)  # into pinned memory
    torch.cuda.current_stream(tensor.device).synchronize()
    return copied.numpy()


def resize_on_device(image: Tensor, size_hw: tuple[int, int]) -> Tensor:
    """Resizes (H, W, 3) uint8 as `rapidseg.imaging.resize_image` does, up to one step of 255 per value.

    Bilinear; where a side shrinks to less than half and neither grows, each pixel is the mean of its area.
    """
    height, width = image.shape[0], image.shape[1]
    if (height, width) == tuple(size_hw):
        return image
    new_height, new_width = size_hw
    planes = image.permute(2, 0, 1).float()
    shrinks = new_height <= height and new_width <= width
    if shrinks and (2 * new_height < height or 2 * new_width < width):
        rows = _area_weights(height, new_height, image.device)
        columns = _area_weights(width, new_width, image.device)
        resized = rows @ planes @ columns.T
    else:
        resized = F.interpolate(planes[None], size_hw, mode="bilinear", align_corners=False)[0]
    return resized.add_(0.5).clamp_(0, 255).to(torch.uint8).permute(1, 2, 0).contiguous()


@functools.lru_cache(maxsize=16)
def _area_weights(length: int, new_length: int, device: torch.device) -> Tensor:
    """Returns (new_length, length) float32: the share of each new pixel that each old one covers."""
    bounds = np.arange(new_length + 1) * (length / new_length)
    pixels = np.arange(length)
    ends = np.minimum(bounds[1:, None], pixels + 1)
    covered = np.maximum(0, ends - np.maximum(bounds[:-1, None], pixels))
    return torch.from_numpy((covered * (new_length / length)).astype(np.float32)).to(device)

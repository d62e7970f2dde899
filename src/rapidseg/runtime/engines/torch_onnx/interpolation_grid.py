"""The positions of output pixels between logits, as tensors on a device."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rapidseg.runtime.kernels.class_map import interpolation_grid


@dataclass(frozen=True, eq=False)
class InterpolationGrid:
    """The output pixels along one axis.

    Attributes:
        new_length: number of output pixels.
        starts: (length + 1,) int32; cell `i`, from logit `i` to the next, holds outputs `starts[i]` to `starts[i + 1]`.
        cell_indices: (new_length,) int32, the cell of each output pixel.
        weights: (new_length,) float32, of the cell's second logit.
    """

    new_length: int
    starts: Tensor
    cell_indices: Tensor
    weights: Tensor


@functools.lru_cache(maxsize=64)
def grid_on_device(device: torch.device, length: int, new_length: int, align_corners: bool) -> InterpolationGrid:
    """Returns the `interpolation_grid` of `length` logits and `new_length` pixels as tensors on a device."""
    starts, weights = interpolation_grid(length, new_length, align_corners)
    cell_indices = np.searchsorted(starts, np.arange(new_length), side="right") - 1
    return InterpolationGrid(
        new_length,
        torch.from_numpy(starts.astype(np.int32)).to(device),
        torch.from_numpy(cell_indices.astype(np.int32)).to(device),
        torch.from_numpy(weights.copy()).to(device),
    )

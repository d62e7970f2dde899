"""Where output pixels lie between logits, as tensors on a device."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rapidseg.runtime.kernels.class_map import output_cells


@dataclass(frozen=True, eq=False)
class Cells:
    """Output pixels along one axis.

    Attributes:
        new_length: how many they are.
        starts: (length + 1,) int32; cell `i`, from logit `i` to the next, holds outputs `starts[i]` to `starts[i + 1]`.
        cells: (new_length,) int32, the cell of each.
        weights: (new_length,) float32, of the cell's second logit.
    """

    new_length: int
    starts: Tensor
    cells: Tensor
    weights: Tensor


@functools.lru_cache(maxsize=64)
def cells_on(device: torch.device, length: int, new_length: int, align_corners: bool) -> Cells:
    """Returns what `output_cells` says for `length` logits and `new_length` pixels, as tensors on a device."""
    starts, weights = output_cells(length, new_length, align_corners)
    cells = np.searchsorted(starts, np.arange(new_length), side="right") - 1
    return Cells(
        new_length,
        torch.from_numpy(starts.astype(np.int32)).to(device),
        torch.from_numpy(cells.astype(np.int32)).to(device),
        torch.from_numpy(weights.copy()).to(device),
    )

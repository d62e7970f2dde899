"""Size and work of a model: parameters and multiply-accumulates."""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from torch import Tensor, nn

from rapidseg.models.base import SegmentationModel

TRAINING_ONLY = ("aux_heads.", "head.se_branch.")  # what the names of parts begin with that prediction leaves out


def count_parameters(model: nn.Module, *, aux_heads: bool = False) -> int:
    """Returns the number of learned values; batch normalization's running statistics are none.

    Args:
        aux_heads: count the auxiliary heads and the SE branch too, which only training uses.
    """
    return sum(p.numel() for name, p in model.named_parameters() if aux_heads or not name.startswith(TRAINING_ONLY))


def count_macs(model: SegmentationModel, size_hw: tuple[int, int]) -> int:
    """Returns the multiply-accumulates of all convolutions for one image of `size_hw`, auxiliary heads left out.

    Batch normalization is folded into the convolutions for prediction and is not counted. Only shapes are computed.
    """
    total = 0

    def add(module: nn.Conv2d, _: Any, output: Tensor) -> None:
        nonlocal total
        taps = math.prod(module.kernel_size) * module.in_channels // module.groups
        total += taps * output[0].numel()

    twin = _without_values(model).eval()
    for module in twin.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(add)
    with torch.inference_mode():
        twin(torch.empty(1, 3, *size_hw, device="meta"))
    return total


def _without_values(model: SegmentationModel) -> SegmentationModel:
    """Returns a copy whose tensors have shapes alone, so that it takes no memory and no time."""
    shapes: dict[int, Any] = {id(buffer): buffer.to("meta") for buffer in model.buffers()}
    for parameter in model.parameters():
        shapes[id(parameter)] = nn.Parameter(parameter.detach().to("meta"), requires_grad=False)
    return copy.deepcopy(model, shapes)

"""Size and work of a model: parameters and multiply-accumulates."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from rapidseg.models.base import SegmentationModel


def count_parameters(model: nn.Module, *, aux_heads: bool = False) -> int:
    """Returns the number of learned values; batch normalisation's running statistics are none.

    Args:
        aux_heads: count the auxiliary heads too, which only training uses.
    """
    return sum(p.numel() for name, p in model.named_parameters() if aux_heads or not name.startswith("aux_heads."))


def count_macs(model: SegmentationModel, size_hw: tuple[int, int]) -> int:
    """Returns the multiply-accumulates of all convolutions for one image of `size_hw`, auxiliary heads left out.

    Batch normalisation is folded into the convolutions for prediction and is not counted.
    """
    total = 0

    def add(module: nn.Conv2d, _: Any, output: Tensor) -> None:
        nonlocal total
        taps = math.prod(module.kernel_size) * module.in_channels // module.groups
        total += taps * output[0].numel()

    hooks = [m.register_forward_hook(add) for m in model.modules() if isinstance(m, nn.Conv2d)]
    training = model.training
    try:
        device = next(model.parameters()).device
        with torch.inference_mode():
            model.eval()(torch.zeros(1, 3, *size_hw, device=device))
    finally:
        model.train(training)
        for hook in hooks:
            hook.remove()
    return total

"""Size and work of a model: parameters and multiply-accumulates."""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from torch import Tensor, nn

from rapidseg.models.segmentation_model import SegmentationModel

TRAINING_ONLY = ("aux_heads.", "head.se_branch.")  # prefixes of parts that prediction does not use


def count_parameters(model: nn.Module, *, aux_heads: bool = False) -> int:
    """Returns the number of learned values; running statistics of batch normalization do not count.

    Args:
        model: any network.
        aux_heads: whether to count the auxiliary heads and the SE branch, which only training uses.
    """
    return sum(p.numel() for name, p in model.named_parameters() if aux_heads or not name.startswith(TRAINING_ONLY))


def count_macs(model: SegmentationModel, size_hw: tuple[int, int]) -> int:
    """Returns the multiply-accumulates of all convolutions for a single image, without auxiliary heads.

    Batch normalization is not counted: it is folded into the convolutions for prediction. Only shapes are computed.
    This is the only counter for PyTorch models; `runtime.onnx_complexity` counts in ONNX files.

    Args:
        model: any device and mode; it is not changed.
        size_hw: height and width of the image in pixels.
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
    """Returns a copy whose tensors have only shapes, so that it takes neither memory nor time."""
    shapes: dict[int, Any] = {id(buffer): buffer.to("meta") for buffer in model.buffers()}
    for parameter in model.parameters():
        shapes[id(parameter)] = nn.Parameter(parameter.detach().to("meta"), requires_grad=False)
    return copy.deepcopy(model, shapes)

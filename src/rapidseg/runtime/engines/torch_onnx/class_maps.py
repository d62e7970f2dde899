"""Class maps of logits on a device: with Triton, or with plain PyTorch where Triton does not work."""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from rapidseg.core.errors import InputError
from rapidseg.runtime.engines.torch_onnx.interpolation_grid import InterpolationGrid, grid_on_device

_MAX_VALUES = 1 << 25  # full-size logits that plain PyTorch computes at once; 128 MB as float32


def class_maps_on_device(
    logits: Tensor,
    size_hw: tuple[int, int],
    *,
    align_corners: bool,
    confidence: bool = False,
    with_triton: bool = True,
) -> tuple[Tensor, Tensor | None]:
    """Computes `class_map_from_logits` and `confidence_from_logits` for a batch that stays on its device.

    On a GPU the work is queued on the current stream; the call does not wait for it.

    Args:
        logits: (N, K, h, w) of any strides; fp16, bf16 or float32, K from 1 to 256.
        size_hw: height and width of the class maps.
        align_corners: whether the centers of the corner pixels coincide, or the corners of the images.
        confidence: whether to compute confidences, too.
        with_triton: whether to use the Triton kernel.

    Returns:
        The class maps, and the confidences or None; (N, H, W) uint8.

    Raises:
        InputError: the logits have another shape, or are empty.
    """
    if logits.ndim != 4 or not 1 <= logits.shape[1] <= 256 or min(*logits.shape, *size_hw) < 1:
        raise InputError(
            f"logits of shape {tuple(logits.shape)} cannot become class maps of {size_hw}; "
            "they must be (N, K, h, w) with 1 to 256 classes, and no side may be 0"
        )
    rows = grid_on_device(logits.device, logits.shape[2], size_hw[0], align_corners)
    columns = grid_on_device(logits.device, logits.shape[3], size_hw[1], align_corners)
    if with_triton:
        from rapidseg.runtime.engines.torch_onnx.kernels.class_map_kernel import compute_class_maps

        return compute_class_maps(logits, rows, columns, confidence=confidence)
    return _plain(logits, rows, columns, confidence=confidence)


@functools.cache
def why_not_triton(device: torch.device) -> str | None:
    """Returns why Triton does not work on a device, or None if it does; runs the kernel once on tiny logits."""
    try:
        logits = torch.zeros((1, 2, 2, 2), dtype=torch.float16, device=device)
        logits[:, 1] = 1
        class_maps, _ = class_maps_on_device(logits, (3, 3), align_corners=False)
        return None if bool((class_maps == 1).all()) else "it computes wrong results on this device"
    except ImportError:
        return "it is not installed"
    except Exception as error:  # a missing compiler, a GPU that is too old: Triton raises many types of its own
        return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


def _plain(
    logits: Tensor, rows: InterpolationGrid, columns: InterpolationGrid, *, confidence: bool
) -> tuple[Tensor, Tensor | None]:
    """Computes full-size logits, a few rows at a time, in the order of the kernel's arithmetic, and their argmax."""
    count, num_classes, height, width = logits.shape
    class_maps = torch.empty((count, rows.new_length, columns.new_length), dtype=torch.uint8, device=logits.device)
    confidences = torch.empty_like(class_maps) if confidence else None
    left = columns.cell_indices.long()
    right = (left + 1).clamp_(max=width - 1)
    step = max(1, _MAX_VALUES // (count * num_classes * columns.new_length))
    for first in range(0, rows.new_length, step):
        part = slice(first, first + step)
        top = rows.cell_indices[part].long()
        upper = logits[:, :, top].float()
        lower = logits[:, :, (top + 1).clamp_(max=height - 1)].float()
        upper, lower = (
            each[..., left] + (each[..., right] - each[..., left]) * columns.weights for each in (upper, lower)
        )
        values = upper + (lower - upper) * rows.weights[part, None]
        best, winner = values.max(dim=1)
        class_maps[:, part] = winner
        if confidences is not None:
            total = values.sub_(best.unsqueeze(1)).exp_().sum(dim=1)
            confidences[:, part] = (255 / total + 0.5).to(torch.uint8)
    return class_maps, confidences

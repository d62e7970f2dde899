"""The class map as one Triton kernel: upsampling and argmax without full-size logits.

A program fills some columns of the output pixels of one row of cells (see `runtime/kernels/class_map.py`). All its rows
lie between the same two rows of logits, so for each column the four corners of a class are read and blended once and
serve every row. Columns are blended before rows, as in `runtime/kernels/confidence.py`; where classes tie, the first
wins. Imported only where Triton is installed; with `TRITON_INTERPRET=1` it runs on the CPU, for tests.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from rapidseg.runtime.engines.torch_onnx.interpolation_grid import InterpolationGrid

_COLUMNS = 128  # per program
_MAX_ROWS = 8  # per pass of a program over the classes; more need too many registers
_LOWEST = tl.constexpr(-3.0e38)  # below every logit, yet its difference to a logit is finite


@triton.jit
def upsample_argmax_kernel(
    logits,
    row_starts,
    row_weights,
    column_cells,
    column_weights,
    class_maps,
    confidences,
    height,
    width,
    rows,
    columns,
    stride_image,
    stride_class,
    stride_row,
    stride_column,
    NUM_CLASSES: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    CONFIDENCE: tl.constexpr,
):
    """Writes class maps and, with CONFIDENCE, confidences, (N, rows, columns), from (N, K, height, width) logits."""
    y = tl.program_id(1)
    image = tl.program_id(2).to(tl.int64)
    column = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)
    inside = column < columns
    x = tl.load(column_cells + column, mask=inside, other=0)
    across = tl.load(column_weights + column, mask=inside, other=0.0)
    below = tl.minimum(y + 1, height - 1)
    beside = tl.minimum(x + 1, width - 1)
    upper = logits + image * stride_image + y.to(tl.int64) * stride_row
    lower = logits + image * stride_image + below.to(tl.int64) * stride_row
    last = tl.load(row_starts + y + 1)
    for first in range(tl.load(row_starts + y), last, ROWS):
        row = first + tl.arange(0, ROWS)
        is_row = row < last
        down = tl.load(row_weights + row, mask=is_row, other=0.0)[:, None]
        best = tl.full((ROWS, COLUMNS), float("-inf"), tl.float32)
        winner = tl.zeros((ROWS, COLUMNS), tl.int32)
        highest = tl.full((ROWS, COLUMNS), _LOWEST, tl.float32)
        total = tl.zeros((ROWS, COLUMNS), tl.float32)
        for k in range(NUM_CLASSES):
            offset = k * stride_class
            top = tl.load(upper + offset + x * stride_column, mask=inside, other=0.0).to(tl.float32)
            top_right = tl.load(upper + offset + beside * stride_column, mask=inside, other=0.0).to(tl.float32)
            low = tl.load(lower + offset + x * stride_column, mask=inside, other=0.0).to(tl.float32)
            low_right = tl.load(lower + offset + beside * stride_column, mask=inside, other=0.0).to(tl.float32)
            top += (top_right - top) * across
            low += (low_right - low) * across
            value = top[None, :] + (low - top)[None, :] * down
            better = value > best
            winner = tl.where(better, k, winner)
            best = tl.where(better, value, best)
            if CONFIDENCE:
                above = tl.maximum(highest, value)
                total = total * tl.exp(highest - above) + tl.exp(value - above)
                highest = above
        offsets = (image * rows + row[:, None]) * columns + column[None, :]
        mask = is_row[:, None] & inside[None, :]
        tl.store(class_maps + offsets, winner.to(tl.uint8), mask=mask)
        if CONFIDENCE:
            tl.store(confidences + offsets, (255.0 / total + 0.5).to(tl.uint8), mask=mask)


def compute_class_maps(
    logits: Tensor, rows: InterpolationGrid, columns: InterpolationGrid, *, confidence: bool
) -> tuple[Tensor, Tensor | None]:
    """Runs the kernel on the current stream.

    Args:
        logits: (N, K, h, w) of any strides; fp16, bf16 or float32.
        rows, columns: where output pixels lie between logits; on the device of the logits.
        confidence: whether to compute confidences, too.

    Returns:
        The class maps, and the confidences or None; (N, H, W) uint8.
    """
    count, num_classes, height, width = logits.shape
    class_maps = torch.empty((count, rows.new_length, columns.new_length), dtype=torch.uint8, device=logits.device)
    confidences = torch.empty_like(class_maps) if confidence else None
    grid = (triton.cdiv(columns.new_length, _COLUMNS), height, count)
    upsample_argmax_kernel[grid](
        logits,
        rows.starts,
        rows.weights,
        columns.cell_indices,
        columns.weights,
        class_maps,
        class_maps if confidences is None else confidences,
        height,
        width,
        rows.new_length,
        columns.new_length,
        *logits.stride(),
        NUM_CLASSES=num_classes,
        ROWS=min(_MAX_ROWS, triton.next_power_of_2(-(-rows.new_length // height))),
        COLUMNS=_COLUMNS,
        CONFIDENCE=confidence,
        num_warps=4,
        enable_fp_fusion=False,  # a fused multiply-add rounds once, the CPU's arithmetic twice
    )
    return class_maps, confidences

"""The part of a convolution's output that one Triton program computes; shared by the convolution kernels.

Each program computes COLUMNS pixels of one row and CHANNELS of the channels. Triton inlines these functions. Imported
only where Triton is installed.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from rapidseg.runtime.engines.torch_onnx.conv_geometry import ConvGeometry


@triton.jit
def locate_tile(out_channels, COLUMNS: tl.constexpr, CHANNELS: tl.constexpr):
    """Returns the program's columns, (COLUMNS,), channels, (CHANNELS,), row and image."""
    parts = tl.cdiv(out_channels, CHANNELS)
    column = tl.program_id(0) // parts * COLUMNS + tl.arange(0, COLUMNS)
    channel = tl.program_id(0) % parts * CHANNELS + tl.arange(0, CHANNELS)
    return column, channel, tl.program_id(1), tl.program_id(2).to(tl.int64)


@triton.jit
def load_bias(bias, channel, out_channels):
    """Returns the bias of the program's channels, (1, CHANNELS) float32."""
    return tl.load(bias + channel, mask=channel < out_channels, other=0.0).to(tl.float32)[None, :]


@triton.jit
def store_tile(
    results,
    total,
    column,
    channel,
    row,
    image,
    out_height,
    out_width,
    out_channels,
    low,
    high,
    CLAMP: tl.constexpr,
):
    """Applies the activation to the program's sums, (COLUMNS, CHANNELS) float32, and writes them."""
    if CLAMP:
        total = tl.minimum(tl.maximum(total, low), high)
    target = results + ((image * out_height + row) * out_width + column[:, None]) * out_channels + channel[None, :]
    mask = (column < out_width)[:, None] & (channel < out_channels)[None, :]
    tl.store(target, total.to(results.dtype.element_ty), mask=mask)


def empty_results(x: Tensor, out_channels: int, geometry: ConvGeometry) -> Tensor:
    """Allocates the output, (N, out_channels, H', W') in channels-last memory, for features (N, C, H, W)."""
    size_hw = geometry.output_size((x.shape[2], x.shape[3]))
    return torch.empty(
        (len(x), out_channels, *size_hw), dtype=x.dtype, device=x.device, memory_format=torch.channels_last
    )


def tile_grid(results: Tensor, columns: int, channels: int) -> tuple[int, int, int]:
    """Returns the grid of programs that compute `columns` pixels and `channels` channels each."""
    count, out_channels, out_height, out_width = results.shape
    return triton.cdiv(out_width, columns) * triton.cdiv(out_channels, channels), out_height, count

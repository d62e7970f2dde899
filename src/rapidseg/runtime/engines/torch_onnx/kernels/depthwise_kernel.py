"""A depthwise convolution with its bias and activation as one Triton kernel, channels last.

It does few operations per value that it reads, so memory bandwidth limits it; as kernels of their own, bias and
activation would read and write everything again. Imported only where Triton is installed.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from rapidseg.runtime.engines.torch_onnx.conv_geometry import ConvGeometry
from rapidseg.runtime.engines.torch_onnx.kernels.conv_tile import (
    empty_results,
    load_bias,
    locate_tile,
    store_tile,
    tile_grid,
)

_MAX_CHANNELS = 64  # per program; 128 bytes of fp16
_RESULTS = 1024  # per program: 8 per thread, which are read and written at once


@triton.jit
def depthwise_convolution_kernel(
    features,
    taps,
    bias,
    results,
    height,
    width,
    channels,
    out_height,
    out_width,
    low,
    high,
    KERNEL_H: tl.constexpr,
    KERNEL_W: tl.constexpr,
    STRIDE_H: tl.constexpr,
    STRIDE_W: tl.constexpr,
    PADDING_H: tl.constexpr,
    PADDING_W: tl.constexpr,
    DILATION_H: tl.constexpr,
    DILATION_W: tl.constexpr,
    BIAS: tl.constexpr,
    CLAMP: tl.constexpr,
    COLUMNS: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    """Writes (N, out_height, out_width, channels) from (N, height, width, channels) and (taps, channels)."""
    column, channel, row, image = locate_tile(channels, COLUMNS, CHANNELS)
    is_channel = channel < channels
    total = tl.zeros((COLUMNS, CHANNELS), tl.float32)
    if BIAS:
        total += load_bias(bias, channel, channels)
    for tap_y in tl.static_range(KERNEL_H):
        y = row * STRIDE_H - PADDING_H + tap_y * DILATION_H
        in_height = (y >= 0) & (y < height)
        line = features + (image * height + y) * width * channels
        for tap_x in tl.static_range(KERNEL_W):
            x = column * STRIDE_W - PADDING_W + tap_x * DILATION_W
            mask = (in_height & (x >= 0) & (x < width))[:, None] & is_channel[None, :]
            value = tl.load(line + x[:, None] * channels + channel[None, :], mask=mask, other=0.0)
            weight = tl.load(taps + (tap_y * KERNEL_W + tap_x) * channels + channel, mask=is_channel, other=0.0)
            total += value.to(tl.float32) * weight.to(tl.float32)[None, :]
    store_tile(results, total, column, channel, row, image, out_height, out_width, channels, low, high, CLAMP)


def convolve(
    x: Tensor,
    taps: Tensor,
    bias: Tensor | None,
    geometry: ConvGeometry,
    bounds: tuple[float, float] | None,
) -> Tensor:
    """Runs the kernel on the current stream.

    Args:
        x: (N, C, H, W).
        taps: (h * w, C), contiguous; the weights of each tap.
        bias: (C,), or None.
        geometry: kernel size, stride, padding and dilation.
        bounds: lowest and highest result, to which the activation clamps; None: no activation.

    Returns:
        (N, C, H', W'), channels last in memory.
    """
    x = x.contiguous(memory_format=torch.channels_last)
    channels = x.shape[1]
    results = empty_results(x, channels, geometry)
    block = min(_MAX_CHANNELS, triton.next_power_of_2(channels))
    block_columns = _RESULTS // block
    low, high = bounds or (0.0, 0.0)
    depthwise_convolution_kernel[tile_grid(results, block_columns, block)](
        x,
        taps,
        taps if bias is None else bias,
        results,
        *x.shape[2:],
        channels,
        *results.shape[2:],
        low,
        high,
        **geometry.constants(),
        BIAS=bias is not None,
        CLAMP=bounds is not None,
        COLUMNS=block_columns,
        CHANNELS=block,
        num_warps=4,
    )
    return results

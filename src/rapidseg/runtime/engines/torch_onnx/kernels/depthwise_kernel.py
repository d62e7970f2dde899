"""A depthwise convolution with its bias and activation as one kernel of a GPU, in Triton, channels last.

It does a few operations for each number that it reads, so its time is that of memory; on their own, bias and activation
would read and write everything again. Imported only where Triton is installed.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from rapidseg.runtime.engines.torch_onnx.conv_geometry import ConvGeometry

_CHANNELS = 64  # of one program, at most; 128 bytes of fp16
_RESULTS = 1024  # of one program: 8 for each thread, which are read and written at once


@triton.jit
def _convolve(
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
    parts = tl.cdiv(channels, CHANNELS)
    column = tl.program_id(0) // parts * COLUMNS + tl.arange(0, COLUMNS)
    channel = tl.program_id(0) % parts * CHANNELS + tl.arange(0, CHANNELS)
    row = tl.program_id(1)
    image = tl.program_id(2).to(tl.int64)
    there = channel < channels
    total = tl.zeros((COLUMNS, CHANNELS), tl.float32)
    if BIAS:
        total += tl.load(bias + channel, mask=there, other=0.0).to(tl.float32)[None, :]
    for tap_y in tl.static_range(KERNEL_H):
        y = row * STRIDE_H - PADDING_H + tap_y * DILATION_H
        in_height = (y >= 0) & (y < height)
        line = features + (image * height + y) * width * channels
        for tap_x in tl.static_range(KERNEL_W):
            x = column * STRIDE_W - PADDING_W + tap_x * DILATION_W
            seen = (in_height & (x >= 0) & (x < width))[:, None] & there[None, :]
            value = tl.load(line + x[:, None] * channels + channel[None, :], mask=seen, other=0.0)
            weight = tl.load(taps + (tap_y * KERNEL_W + tap_x) * channels + channel, mask=there, other=0.0)
            total += value.to(tl.float32) * weight.to(tl.float32)[None, :]
    if CLAMP:
        total = tl.minimum(tl.maximum(total, low), high)
    target = results + ((image * out_height + row) * out_width + column[:, None]) * channels + channel[None, :]
    tl.store(target, total.to(results.dtype.element_ty), mask=(column < out_width)[:, None] & there[None, :])


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
        taps: (h * w, C), contiguous; what each place of the kernel weighs in each channel.
        bias: (C,), or None.
        geometry: kernel size, stride, padding and dilation.
        bounds: between which the results are clamped; None: not at all.

    Returns:
        (N, C, H', W'), channels last in memory.
    """
    x = x.contiguous(memory_format=torch.channels_last)
    count, channels, height, width = x.shape
    out_height, out_width = geometry.output_size((height, width))
    results = torch.empty(
        (count, channels, out_height, out_width), dtype=x.dtype, device=x.device, memory_format=torch.channels_last
    )
    block = min(_CHANNELS, triton.next_power_of_2(channels))
    block_columns = _RESULTS // block
    low, high = bounds or (0.0, 0.0)
    _convolve[(triton.cdiv(out_width, block_columns) * triton.cdiv(channels, block), out_height, count)](
        x,
        taps,
        taps if bias is None else bias,
        results,
        height,
        width,
        channels,
        out_height,
        out_width,
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

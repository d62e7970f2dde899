"""A convolution of few channels, as of an image, with its bias and activation as one kernel of a GPU, in Triton.

Libraries want a multiple of 8 channels for matrix units. Here a matrix product sums over all channels of all places at
once: 27 for three channels and 3x3. Imported only where Triton is installed.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from rapidseg.runtime.engines.torch_onnx.conv_geometry import ConvGeometry

_COLUMNS = 64  # of one program
_SUMMED = 32  # of one matrix product
_LEAST_RESULTS = 16  # channels coming out, which matrix units take at least
_MOST_RESULTS = 64


@triton.jit
def _convolve(
    features,
    weights,
    bias,
    results,
    height,
    width,
    out_height,
    out_width,
    out_channels,
    low,
    high,
    CHANNELS: tl.constexpr,
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
    SUMMED: tl.constexpr,
    RESULTS: tl.constexpr,
):
    """Writes (N, out_height, out_width, out_channels) from (N, height, width, CHANNELS) and (summed, out_channels)."""
    parts = tl.cdiv(out_channels, RESULTS)
    column = tl.program_id(0) // parts * COLUMNS + tl.arange(0, COLUMNS)
    result = tl.program_id(0) % parts * RESULTS + tl.arange(0, RESULTS)
    row = tl.program_id(1)
    image = tl.program_id(2).to(tl.int64)
    wanted = result < out_channels
    total = tl.zeros((COLUMNS, RESULTS), tl.float32)
    for first in tl.static_range(0, KERNEL_H * KERNEL_W * CHANNELS, SUMMED):
        place = first + tl.arange(0, SUMMED)
        there = place < KERNEL_H * KERNEL_W * CHANNELS
        y = row * STRIDE_H - PADDING_H + place // (KERNEL_W * CHANNELS) * DILATION_H
        left = place // CHANNELS % KERNEL_W * DILATION_W - PADDING_W
        x = column[:, None] * STRIDE_W + left[None, :]
        seen = (there & (y >= 0) & (y < height))[None, :] & (x >= 0) & (x < width)
        line = (image * height + y) * width * CHANNELS + place % CHANNELS
        values = tl.load(features + line[None, :] + x * CHANNELS, mask=seen, other=0.0)
        factors = tl.load(
            weights + place[:, None] * out_channels + result[None, :], mask=there[:, None] & wanted[None, :], other=0.0
        )
        total = tl.dot(values, factors, total, input_precision="ieee")
    if BIAS:
        total += tl.load(bias + result, mask=wanted, other=0.0).to(tl.float32)[None, :]
    if CLAMP:
        total = tl.minimum(tl.maximum(total, low), high)
    target = results + ((image * out_height + row) * out_width + column[:, None]) * out_channels + result[None, :]
    tl.store(target, total.to(results.dtype.element_ty), mask=(column < out_width)[:, None] & wanted[None, :])


def convolve_image(
    x: Tensor,
    weights: Tensor,
    bias: Tensor | None,
    geometry: ConvGeometry,
    bounds: tuple[float, float] | None,
) -> Tensor:
    """Runs the kernel on the current stream.

    Args:
        x: (N, C, H, W).
        weights: (h * w * C, K), contiguous.
        bias: (K,), or None.
        geometry: kernel size, stride, padding and dilation.
        bounds: between which the results are clamped; None: not at all.

    Returns:
        (N, K, H', W'), channels last in memory.
    """
    x = x.contiguous(memory_format=torch.channels_last)
    count, channels, height, width = x.shape
    out_channels = weights.shape[1]
    out_height, out_width = geometry.output_size((height, width))
    results = torch.empty(
        (count, out_channels, out_height, out_width), dtype=x.dtype, device=x.device, memory_format=torch.channels_last
    )
    block = min(_MOST_RESULTS, max(_LEAST_RESULTS, triton.next_power_of_2(out_channels)))
    low, high = bounds or (0.0, 0.0)
    _convolve[(triton.cdiv(out_width, _COLUMNS) * triton.cdiv(out_channels, block), out_height, count)](
        x,
        weights,
        weights if bias is None else bias,
        results,
        height,
        width,
        out_height,
        out_width,
        out_channels,
        low,
        high,
        CHANNELS=channels,
        **geometry.constants(),
        BIAS=bias is not None,
        CLAMP=bounds is not None,
        COLUMNS=_COLUMNS,
        SUMMED=_SUMMED,
        RESULTS=block,
        num_warps=4,
    )
    return results

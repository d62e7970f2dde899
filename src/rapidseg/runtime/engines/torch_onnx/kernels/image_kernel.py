"""A convolution of few input channels, as of an image, with its bias and activation as one Triton kernel.

Libraries need a multiple of 8 channels for tensor cores. Here a matrix product sums over all channels of all taps at
once: 27 for three channels and 3x3. Imported only where Triton is installed.
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

_COLUMNS = 64  # per program
_SUMMED = 32  # per matrix product
_MIN_RESULTS = 16  # output channels that tensor cores need at least
_MAX_RESULTS = 64


@triton.jit
def image_convolution_kernel(
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
    column, channel, row, image = locate_tile(out_channels, COLUMNS, RESULTS)
    is_channel = channel < out_channels
    total = tl.zeros((COLUMNS, RESULTS), tl.float32)
    for first in tl.static_range(0, KERNEL_H * KERNEL_W * CHANNELS, SUMMED):
        index = first + tl.arange(0, SUMMED)  # of tap and input channel
        is_index = index < KERNEL_H * KERNEL_W * CHANNELS
        y = row * STRIDE_H - PADDING_H + index // (KERNEL_W * CHANNELS) * DILATION_H
        left = index // CHANNELS % KERNEL_W * DILATION_W - PADDING_W
        x = column[:, None] * STRIDE_W + left[None, :]
        mask = (is_index & (y >= 0) & (y < height))[None, :] & (x >= 0) & (x < width)
        line = (image * height + y) * width * CHANNELS + index % CHANNELS
        values = tl.load(features + line[None, :] + x * CHANNELS, mask=mask, other=0.0)
        factors = tl.load(
            weights + index[:, None] * out_channels + channel[None, :],
            mask=is_index[:, None] & is_channel[None, :],
            other=0.0,
        )
        total = tl.dot(values, factors, total, input_precision="ieee")
    if BIAS:
        total += load_bias(bias, channel, out_channels)
    store_tile(results, total, column, channel, row, image, out_height, out_width, out_channels, low, high, CLAMP)


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
        bounds: lowest and highest result, to which the activation clamps; None: no activation.

    Returns:
        (N, K, H', W'), channels last in memory.
    """
    x = x.contiguous(memory_format=torch.channels_last)
    out_channels = weights.shape[1]
    results = empty_results(x, out_channels, geometry)
    block = min(_MAX_RESULTS, max(_MIN_RESULTS, triton.next_power_of_2(out_channels)))
    low, high = bounds or (0.0, 0.0)
    image_convolution_kernel[tile_grid(results, _COLUMNS, block)](
        x,
        weights,
        weights if bias is None else bias,
        results,
        *x.shape[2:],
        *results.shape[2:],
        out_channels,
        low,
        high,
        CHANNELS=x.shape[1],
        **geometry.constants(),
        BIAS=bias is not None,
        CLAMP=bounds is not None,
        COLUMNS=_COLUMNS,
        SUMMED=_SUMMED,
        RESULTS=block,
        num_warps=4,
    )
    return results

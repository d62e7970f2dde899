"""A convolution with its bias and activation, and the ways in which a device can compute it.

Which is the fastest depends on the shape, the GPU and the version of its libraries, so it is tried rather than known.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from rapidseg.runtime.engines.torch_onnx.conv_geometry import Window
from rapidseg.runtime.engines.torch_onnx.graph import Node
from rapidseg.runtime.engines.torch_onnx.operators import padding_of

_RELU = (0.0, float("inf"))
_ALIGNED = 8  # channels, of which tensor cores want a multiple; an image has 3

Way = Callable[[Tensor], Tensor]
"""Takes (N, C, H, W) features and returns those after the convolution."""


@dataclass(frozen=True, eq=False)
class Convolution:
    """One convolution.

    Attributes:
        weight: (K, C / groups, h, w), in channels-last memory.
        bias: (K,), or None.
        stride, padding, dilation: of height and width.
        bounds: between which the results are clamped; None: not at all.
    """

    weight: Tensor
    bias: Tensor | None
    stride: list[int]
    padding: list[int]
    dilation: list[int]
    groups: int
    bounds: tuple[float, float] | None

    @classmethod
    def of(cls, node: Node, weight: Tensor, bias: Tensor | None) -> Convolution:
        """Makes one of a node `Conv`."""
        attributes = node.attributes
        # A 1x1 weight is contiguous either way, so `contiguous` would not change how its memory is told, and PyTorch
        # would lay the features out anew.
        return cls(
            torch.empty_like(weight, memory_format=torch.channels_last).copy_(weight),
            bias,
            list(attributes.get("strides", [1, 1])),
            padding_of(attributes),
            list(attributes.get("dilations", [1, 1])),
            attributes.get("group", 1),
            node.bounds,
        )

    def ways(self, *, with_triton: bool) -> dict[str, Way]:
        """Returns all that may be tried on a GPU, by name; the first works everywhere.

        Args:
            with_triton: whether Triton works there.
        """
        ways: dict[str, Way] = {"plain": self.plain}
        if self.bounds == _RELU:
            ways["fused"] = self.fused
        if self._is_pointwise():
            ways["linear"] = self.linear
            if self.bias is not None and self.bounds == _RELU:
                ways["linear, fused"] = self.linear_fused
        if with_triton and self._is_depthwise():
            ways["depthwise"] = self.depthwise
        if self.groups == 1 and self.weight.shape[1] < _ALIGNED:
            if with_triton:
                ways["image"] = self.image
            for name, way in self._padded.ways(with_triton=False).items():
                ways[f"padded, {name}"] = functools.partial(self._pad_and, way)
        return ways

    def plain(self, x: Tensor) -> Tensor:
        """Convolution, bias and activation, each on its own where the device's library does not join them."""
        y = F.conv2d(x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)
        return clamp_(y, self.bounds)

    def fused(self, x: Tensor) -> Tensor:
        """All three in one kernel of cuDNN, which has them only with ReLU."""
        return torch.cudnn_convolution_relu(
            x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups
        )

    def linear(self, x: Tensor) -> Tensor:
        """A 1x1 convolution as the matrix product that it is; cuBLAS adds the bias in the same kernel."""
        return clamp_(_as_features(F.linear(_as_pixels(x), self.weight.flatten(1), self.bias), x), self.bounds)

    def linear_fused(self, x: Tensor) -> Tensor:
        """The same with ReLU in it, too; PyTorch has no public name for that."""
        assert self.bias is not None
        return _as_features(torch._addmm_activation(self.bias, _as_pixels(x), self.weight.flatten(1).T), x)

    def depthwise(self, x: Tensor) -> Tensor:
        """A convolution of each channel with itself, with bias and activation in one kernel of Triton."""
        from rapidseg.runtime.engines.torch_onnx.kernels.depthwise_kernel import convolve

        return convolve(x, self._taps, self.bias, self._window, self.bounds)

    def image(self, x: Tensor) -> Tensor:
        """A convolution of an image, with bias and activation in one kernel of Triton."""
        from rapidseg.runtime.engines.torch_onnx.kernels.image_kernel import convolve_image

        return convolve_image(x, self._factors, self.bias, self._window, self.bounds)

    @functools.cached_property
    def _window(self) -> Window:
        (height, width), stride, padding, dilation = self.weight.shape[2:], self.stride, self.padding, self.dilation
        return Window((height, width), (stride[0], stride[1]), (padding[0], padding[1]), (dilation[0], dilation[1]))

    @functools.cached_property
    def _factors(self) -> Tensor:
        """Weights as a matrix, (h * w * C, K)."""
        return self.weight.permute(2, 3, 1, 0).flatten(0, 2).contiguous()

    def _pad_and(self, way: Way, x: Tensor) -> Tensor:
        return way(F.pad(x, (0, 0, 0, 0, 0, _ALIGNED - x.shape[1])))

    @functools.cached_property
    def _padded(self) -> Convolution:
        """The same with as many channels going in as matrix units take at once, the added ones being of no weight."""
        weight = F.pad(self.weight, (0, 0, 0, 0, 0, _ALIGNED - self.weight.shape[1]))
        return replace(self, weight=weight.contiguous(memory_format=torch.channels_last))

    @functools.cached_property
    def _taps(self) -> Tensor:
        """Weights of a depthwise convolution, (h * w, K)."""
        return self.weight.flatten(1).T.contiguous()

    def _is_depthwise(self) -> bool:
        return self.groups > 1 and self.groups == len(self.weight) and self.weight.shape[1] == 1

    def _is_pointwise(self) -> bool:
        plain = (self.stride, self.padding, self.groups) == ([1, 1], [0, 0], 1)
        return plain and self.weight.shape[2:] == (1, 1)


def _as_pixels(x: Tensor) -> Tensor:
    """Returns features as (N * H * W, C), without a copy where the channels are last in memory."""
    return x.permute(0, 2, 3, 1).flatten(0, 2)


def _as_features(pixels: Tensor, like: Tensor) -> Tensor:
    """Returns pixels as (N, K, H, W) with N, H and W of other features."""
    count, _, height, width = like.shape
    return pixels.view(count, height, width, -1).permute(0, 3, 1, 2)


def clamp_(x: Tensor, bounds: tuple[float, float] | None) -> Tensor:
    """Clamps features in place; ReLU has no upper bound."""
    if bounds is None:
        return x
    return x.relu_() if bounds == _RELU else x.clamp_(*bounds)

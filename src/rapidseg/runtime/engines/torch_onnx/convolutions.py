"""A convolution with its bias and activation, and the algorithms by which a device can compute it.

Which of them is fastest depends on the shape, the GPU and the version of its libraries, so `Autotuner` tries them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from rapidseg.runtime.engines.torch_onnx.conv_geometry import ConvGeometry
from rapidseg.runtime.engines.torch_onnx.graph import Node
from rapidseg.runtime.engines.torch_onnx.operators import padding_of

_RELU = (0.0, float("inf"))
_ALIGNMENT = 8  # tensor cores need a multiple of 8 channels; an image has 3

Algorithm = Callable[[Tensor], Tensor]
"""Takes (N, C, H, W) features and returns the result of the convolution."""


@dataclass(frozen=True, eq=False)
class Convolution:
    """A convolution with bias and activation.

    Attributes:
        weight: (K, C / groups, h, w), in channels-last memory.
        bias: (K,), or None.
        stride, padding, dilation: of height and width.
        groups: as in `torch.nn.Conv2d`.
        bounds: lowest and highest result, to which the activation clamps; None: no activation.
    """

    weight: Tensor
    bias: Tensor | None
    stride: list[int]
    padding: list[int]
    dilation: list[int]
    groups: int
    bounds: tuple[float, float] | None

    @classmethod
    def from_node(cls, node: Node, weight: Tensor, bias: Tensor | None) -> Convolution:
        """Creates a convolution from a node `Conv`."""
        attributes = node.attributes
        # A 1x1 weight is contiguous in both memory formats, so `contiguous` would leave its strides as they are, and
        # PyTorch would convert the features to the other format.
        return cls(
            torch.empty_like(weight, memory_format=torch.channels_last).copy_(weight),
            bias,
            list(attributes.get("strides", [1, 1])),
            padding_of(attributes),
            list(attributes.get("dilations", [1, 1])),
            attributes.get("group", 1),
            node.bounds,
        )

    def algorithms(self, *, with_triton: bool) -> dict[str, Algorithm]:
        """Returns the algorithms to try on a GPU, by name; the first works everywhere.

        Args:
            with_triton: whether Triton works on the device.
        """
        algorithms: dict[str, Algorithm] = {"plain": self.plain}
        if self.bounds == _RELU:
            algorithms["fused"] = self.fused
        if self._is_pointwise():
            algorithms["linear"] = self.linear
            if self.bias is not None and self.bounds == _RELU:
                algorithms["linear, fused"] = self.linear_fused
        if with_triton and self._is_depthwise():
            algorithms["depthwise"] = self.depthwise
        if self.groups == 1 and self.weight.shape[1] < _ALIGNMENT:
            if with_triton:
                algorithms["image"] = self.image
            for name, algorithm in self._padded.algorithms(with_triton=False).items():
                algorithms[f"padded, {name}"] = functools.partial(self._pad_and, algorithm)
        return algorithms

    def plain(self, x: Tensor) -> Tensor:
        """Convolution, bias and activation, each in its own kernel unless the device's library fuses them."""
        y = F.conv2d(x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)
        return clamp_(y, self.bounds)

    def fused(self, x: Tensor) -> Tensor:
        """All three in one kernel of cuDNN, which fuses only ReLU."""
        return torch.cudnn_convolution_relu(
            x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups
        )

    def linear(self, x: Tensor) -> Tensor:
        """A 1x1 convolution as a matrix product; cuBLAS adds the bias in the same kernel."""
        return clamp_(_as_features(F.linear(_as_pixels(x), self.weight.flatten(1), self.bias), x), self.bounds)

    def linear_fused(self, x: Tensor) -> Tensor:
        """Like `linear`, with ReLU in the same kernel; PyTorch has no public name for that."""
        assert self.bias is not None
        return _as_features(torch._addmm_activation(self.bias, _as_pixels(x), self.weight.flatten(1).T), x)

    def depthwise(self, x: Tensor) -> Tensor:
        """A depthwise convolution with bias and activation in one Triton kernel."""
        from rapidseg.runtime.engines.torch_onnx.kernels.depthwise_kernel import convolve

        return convolve(x, self._taps, self.bias, self._geometry, self.bounds)

    def image(self, x: Tensor) -> Tensor:
        """A convolution of few input channels, as of an image, with bias and activation in one Triton kernel."""
        from rapidseg.runtime.engines.torch_onnx.kernels.image_kernel import convolve_image

        return convolve_image(x, self._matrix, self.bias, self._geometry, self.bounds)

    @functools.cached_property
    def _geometry(self) -> ConvGeometry:
        (height, width), stride, padding, dilation = self.weight.shape[2:], self.stride, self.padding, self.dilation
        return ConvGeometry(
            (height, width), (stride[0], stride[1]), (padding[0], padding[1]), (dilation[0], dilation[1])
        )

    @functools.cached_property
    def _matrix(self) -> Tensor:
        """Weights as a matrix, (h * w * C, K)."""
        return self.weight.permute(2, 3, 1, 0).flatten(0, 2).contiguous()

    def _pad_and(self, algorithm: Algorithm, x: Tensor) -> Tensor:
        return algorithm(F.pad(x, (0, 0, 0, 0, 0, _ALIGNMENT - x.shape[1])))

    @functools.cached_property
    def _padded(self) -> Convolution:
        """The same convolution with input channels padded to what tensor cores need; the added weights are 0."""
        weight = F.pad(self.weight, (0, 0, 0, 0, 0, _ALIGNMENT - self.weight.shape[1]))
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

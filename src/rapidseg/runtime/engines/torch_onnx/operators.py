"""The ONNX operators that `rapidseg export` writes, in PyTorch.

A model file contains two kinds of computation: the network, on the device, and arithmetic on sizes (where a pooling
cell begins, to which size a map is resized). The same functions serve both. What depends only on sizes is computed once
per input size, on the CPU, and folded into constants (`network.py`).
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from rapidseg.core.errors import ModelFileError

Attributes = Mapping[str, Any]
Parameters = Sequence[Tensor | None]

_TYPES = {1: torch.float32, 7: torch.int64, 9: torch.bool}  # numbers of TensorProto.DataType


@dataclass(frozen=True)
class Operator:
    """An operator.

    Attributes:
        bind: takes the attributes and the parameters, and returns a function of the operands.
        operands: how many of the first inputs are operands; the other inputs are parameters, which are known once the
            input size is. None: all inputs are operands.
    """

    bind: Callable[[Attributes, Parameters], Callable[..., Tensor]]
    operands: int | None = 1


def _plain(function: Callable[..., Tensor], operands: int = 2) -> Operator:
    return Operator(lambda attributes, parameters: function, operands)


def _numbers(parameter: Tensor | None) -> list[int]:
    return [] if parameter is None else [int(number) for number in parameter.flatten()]


def _divide(dividend: Tensor, divisor: Tensor) -> Tensor:
    if isinstance(dividend, Tensor) and not dividend.is_floating_point():
        return torch.div(dividend, divisor, rounding_mode="trunc")
    return dividend / divisor


def _clip(attributes: Attributes, parameters: Parameters) -> Callable[..., Tensor]:
    low, high = (None if bound is None else float(bound) for bound in (*parameters, None, None)[:2])
    return functools.partial(torch.clamp, min=low, max=high)


def _cast(attributes: Attributes, parameters: Parameters) -> Callable[..., Tensor]:
    dtype = _TYPES[attributes["to"]]
    return lambda x: x.to(dtype)


def _concat(attributes: Attributes, parameters: Parameters) -> Callable[..., Tensor]:
    axis = attributes["axis"]
    return lambda *parts: torch.cat(parts, dim=axis)


def _transpose(attributes: Attributes, parameters: Parameters) -> Callable[..., Tensor]:
    order = list(attributes["perm"])
    return lambda x: x.permute(order)


def _reshape(attributes: Attributes, parameters: Parameters) -> Callable[..., Tensor]:
    shape = _numbers(parameters[0])

    def reshape(x: Tensor) -> Tensor:
        if attributes.get("allowzero"):
            return x.reshape(shape)
        return x.reshape([x.shape[axis] if side == 0 else side for axis, side in enumerate(shape)])

    return reshape


def _expand(attributes: Attributes, parameters: Parameters) -> Callable[..., Tensor]:
    shape = _numbers(parameters[0])
    # Either shape may have the larger side, so the result has the shape of their sum.
    return lambda x: _spread(x, torch.broadcast_shapes(x.shape, shape))


def _spread(x: Tensor, shape: Sequence[int]) -> Tensor:
    """Expands; features become channels-last in memory, or their concatenation with others would not be."""
    spread = x.expand(list(shape))
    return spread.contiguous(memory_format=torch.channels_last) if spread.ndim == 4 else spread


def _squeeze(attributes: Attributes, parameters: Parameters) -> Callable[..., Tensor]:
    axes = _numbers(parameters[0]) if parameters else []
    return lambda x: x.squeeze(axes) if axes else x.squeeze()


def _unsqueeze(attributes: Attributes, parameters: Parameters) -> Callable[..., Tensor]:
    axes = sorted(_numbers(parameters[0]))

    def unsqueeze(x: Tensor) -> Tensor:
        for axis in axes:
            x = x.unsqueeze(axis)
        return x

    return unsqueeze


def _slice(attributes: Attributes, parameters: Parameters) -> Callable[..., Tensor]:
    starts, ends, axes, steps = (_numbers(parameter) for parameter in (*parameters, None, None)[:4])
    axes = axes or list(range(len(starts)))
    steps = steps or [1] * len(starts)

    def cut(x: Tensor) -> Tensor:
        slices = [slice(None)] * x.ndim
        for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
            slices[axis] = slice(start, end, step)
        return x[tuple(slices)]

    return cut


def _resize(attributes: Attributes, parameters: Parameters) -> Callable[..., Tensor]:
    alignment = attributes.get("coordinate_transformation_mode", "half_pixel")
    if attributes.get("mode") != "linear" or alignment not in ("half_pixel", "pytorch_half_pixel", "align_corners"):
        raise ModelFileError(
            f"the PyTorch engine does not support the operator Resize with mode {attributes.get('mode')!r} and "
            f"{alignment!r}; export the model again with this version of rapidseg"
        )
    size_hw = _numbers(parameters[2])[2:]

    def resize(x: Tensor) -> Tensor:
        if x.shape[2:] == (1, 1):
            return _spread(x, (*x.shape[:2], *size_hw))
        return F.interpolate(x, size=size_hw, mode="bilinear", align_corners=alignment == "align_corners")

    return resize


def _reduce(function: Callable[..., Tensor]) -> Operator:
    def bind(attributes: Attributes, parameters: Parameters) -> Callable[..., Tensor]:
        axes, kept = _numbers(parameters[0]), bool(attributes.get("keepdims", 1))
        return lambda x: function(x, dim=axes, keepdim=kept)

    return Operator(bind)


def _softmax(attributes: Attributes, parameters: Parameters) -> Callable[..., Tensor]:
    return functools.partial(torch.softmax, dim=attributes.get("axis", -1))


def _max_pool(attributes: Attributes, parameters: Parameters) -> Callable[..., Tensor]:
    return functools.partial(
        F.max_pool2d,
        kernel_size=list(attributes["kernel_shape"]),
        stride=list(attributes["strides"]),
        padding=padding_of(attributes),
        dilation=list(attributes.get("dilations", [1, 1])),
        ceil_mode=bool(attributes.get("ceil_mode", 0)),
    )


def _gemm(attributes: Attributes, parameters: Parameters) -> Callable[..., Tensor]:
    alpha, beta = attributes.get("alpha", 1.0), attributes.get("beta", 1.0)

    def multiply(left: Tensor, right: Tensor, added: Tensor) -> Tensor:
        left = left.T if attributes.get("transA") else left
        right = right.T if attributes.get("transB") else right
        return torch.addmm(added, left, right, beta=beta, alpha=alpha)

    return multiply


def _instance_norm(attributes: Attributes, parameters: Parameters) -> Callable[..., Tensor]:
    epsilon = attributes["epsilon"]

    def normalize(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        variance, mean = torch.var_mean(x.float(), dim=list(range(2, x.ndim)), correction=0, keepdim=True)
        scale, shift = (_by_channel(value, x.ndim).float() for value in (scale, shift))
        return ((x.float() - mean) * (variance + epsilon).rsqrt() * scale + shift).to(x.dtype)

    return normalize


def _batch_norm(attributes: Attributes, parameters: Parameters) -> Callable[..., Tensor]:
    epsilon = attributes["epsilon"]

    def normalize(x: Tensor, scale: Tensor, shift: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
        values = (_by_channel(value, x.ndim).float() for value in (scale, shift, mean, variance))
        scale, shift, mean, variance = values
        return ((x.float() - mean) * (variance + epsilon).rsqrt() * scale + shift).to(x.dtype)

    return normalize


def _by_channel(values: Tensor, ndim: int) -> Tensor:
    return values.view(1, -1, *[1] * (ndim - 2))


def padding_of(attributes: Attributes) -> list[int]:
    """Returns the padding of height and width.

    Raises:
        ModelFileError: the padding differs between both ends of a side.
    """
    pads = list(attributes.get("pads", [0, 0, 0, 0]))
    if pads[:2] != pads[2:] or attributes.get("auto_pad", "NOTSET") != "NOTSET":
        raise ModelFileError(
            f"the PyTorch engine does not support a padding of {pads}, which differs between both ends; export the "
            "model again with this version of rapidseg"
        )
    return pads[:2]


# Every operator that the exporter emits for any architecture, except Shape, which `network.py` evaluates, and Conv,
# whose algorithms are in `convolutions.py`.
OPERATORS: dict[str, Operator] = {
    "Add": _plain(operator.add),
    "And": _plain(torch.logical_and),
    "BatchNormalization": Operator(_batch_norm, 5),
    "Cast": Operator(_cast),
    "Clip": Operator(_clip),
    "Concat": Operator(_concat, None),
    "Div": _plain(_divide),
    "Expand": Operator(_expand),
    "Floor": _plain(torch.floor, 1),
    "Gemm": Operator(_gemm, 3),
    "GreaterOrEqual": _plain(operator.ge),
    "InstanceNormalization": Operator(_instance_norm, 3),
    "Less": _plain(operator.lt),
    "MatMul": _plain(torch.matmul),
    "MaxPool": Operator(_max_pool),
    "Mul": _plain(operator.mul),
    "Pow": _plain(operator.pow),
    "Range": _plain(lambda start, end, step: torch.arange(int(start), int(end), int(step)), 3),
    "ReduceMean": _reduce(torch.mean),
    "ReduceSum": _reduce(torch.sum),
    "Relu": _plain(torch.relu, 1),
    "Reshape": Operator(_reshape),
    "Resize": Operator(_resize),
    "Sigmoid": _plain(torch.sigmoid, 1),
    "Slice": Operator(_slice),
    "Softmax": Operator(_softmax),
    "Squeeze": Operator(_squeeze),
    "Sub": _plain(operator.sub),
    "Transpose": Operator(_transpose),
    "Unsqueeze": Operator(_unsqueeze),
}

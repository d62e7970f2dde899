"""How large a model file is and how much work it is: learned values and multiply-accumulates, without PyTorch."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass

import openvino

_CONVOLUTIONS = ("Convolution", "GroupConvolution")
_FOLDED = ("Add", "Multiply", "Subtract")  # what follows a convolution with constants: biases, batch normalization


@dataclass(frozen=True)
class Complexity:
    """Size and work of a network.

    Attributes:
        parameters: weights and biases of all convolutions, as they stand in the file. Batch normalization is folded
            into them there, so there are somewhat fewer than in training.
        multiply_accumulates: of all convolutions, for one image; what `rapidseg models show` counts.
    """

    parameters: int
    multiply_accumulates: int


def count_complexity(path: str | os.PathLike[str], size_hw: tuple[int, int]) -> Complexity:
    """Reads a model file and counts for one image of `size_hw`; runs nothing."""
    model = openvino.Core().read_model(path)
    model.reshape(openvino.PartialShape([1, *size_hw, 3]))
    parameters = multiply_accumulates = 0
    for node in model.get_ordered_ops():
        if node.get_type_name() not in _CONVOLUTIONS:
            continue
        # (out, in, height, width), or (groups, out, in, height, width) with the channels of one group
        weights = math.prod(node.input_value(1).get_shape())
        pixels = math.prod(node.output(0).get_shape()[2:])
        parameters += weights + _constants_behind(node)
        multiply_accumulates += weights * pixels
    return Complexity(parameters, multiply_accumulates)


def _constants_behind(node: openvino.Node) -> int:
    """Returns how many constants are added to a convolution's output or multiplied with it, channel by channel."""
    output = node.output(0)
    readers = [reader.get_node() for reader in output.get_target_inputs()]
    readers = [reader for reader in readers if reader.get_type_name() in _FOLDED]
    if len(readers) != 1:
        return 0
    (reader,) = readers
    others = [value for value in reader.input_values() if value.get_node() != node]
    if len(others) != 1 or not _is_constant(others[0].get_node()):
        return 0
    return int(math.prod(others[0].get_shape())) + _constants_behind(reader)


def _is_constant(node: openvino.Node) -> bool:
    """Tells whether a value depends on no pixel; shapes, which are known here, are constants."""
    kind = node.get_type_name()
    if kind in ("Constant", "ShapeOf"):
        return True
    inputs = node.input_values()
    return bool(inputs) and all(_is_constant(value.get_node()) for value in inputs)

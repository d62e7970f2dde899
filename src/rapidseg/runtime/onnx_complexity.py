"""Size and work of a model file: learned values and multiply-accumulates, counted without PyTorch.

This is the count for ONNX files; `rapidseg.models.count_macs` counts PyTorch models, which need no file. A test holds
the two to the same number.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import openvino

_CONVOLUTIONS = ("Convolution", "GroupConvolution")
_FOLDED = ("Add", "Multiply", "Subtract")  # biases and batch normalization: constants that follow a convolution


@dataclass(frozen=True)
class Complexity:
    """Size and work of a network.

    Attributes:
        parameters: weights and biases of all convolutions in the file. Batch normalization is folded into them, so
            there are slightly fewer than in training.
        multiply_accumulates: of all convolutions, for one image; the same count as in `rapidseg models show`.
    """

    parameters: int
    multiply_accumulates: int


def count_onnx_complexity(path: str | os.PathLike[str], size_hw: tuple[int, int]) -> Complexity:
    """Reads a model file and counts for one image of `size_hw`; runs nothing."""
    import openvino

    model = openvino.Core().read_model(path)
    model.reshape(openvino.PartialShape([1, *size_hw, 3]))
    parameters = multiply_accumulates = 0
    for node in model.get_ordered_ops():
        if node.get_type_name() not in _CONVOLUTIONS:
            continue
        # (out, in, height, width), or (groups, out, in, height, width) with the channels of one group
        weights = math.prod(node.input_value(1).get_shape())
        pixels = math.prod(node.output(0).get_shape()[2:])
        parameters += weights + _count_folded_constants(node)
        multiply_accumulates += weights * pixels
    return Complexity(parameters, multiply_accumulates)


def count_onnx_macs(path: str | os.PathLike[str], size_hw: tuple[int, int]) -> int:
    """Returns the multiply-accumulates of all convolutions of a model file for one image of `size_hw`."""
    return count_onnx_complexity(path, size_hw).multiply_accumulates


def _count_folded_constants(node: openvino.Node) -> int:
    """Returns how many constants are added to a convolution's output or multiplied with it, channel by channel."""
    output = node.output(0)
    readers = [reader.get_node() for reader in output.get_target_inputs()]
    readers = [reader for reader in readers if reader.get_type_name() in _FOLDED]
    if len(readers) != 1:
        return 0
    (reader,) = readers
    operands = [value for value in reader.input_values() if value.get_node() != node]
    if len(operands) != 1 or not _is_constant(operands[0].get_node()):
        return 0
    return int(math.prod(operands[0].get_shape())) + _count_folded_constants(reader)


def _is_constant(node: openvino.Node) -> bool:
    """Tells whether a value is independent of the image; shapes, which are known here, are constants."""
    kind = node.get_type_name()
    if kind in ("Constant", "ShapeOf"):
        return True
    inputs = node.input_values()
    return bool(inputs) and all(_is_constant(value.get_node()) for value in inputs)

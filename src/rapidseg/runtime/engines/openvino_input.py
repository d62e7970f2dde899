"""How images get into a network in OpenVINO: what a model file makes of their bytes, made by one pass of our own."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import openvino
from openvino import opset13 as opset

from rapidseg.core.errors import ModelFileError
from rapidseg.runtime.engines.base import NORMALIZED
from rapidseg.runtime.kernels.normalization import apply_lut, bfloat16_bits, compiled_look_up

_ROUNDING = ("FakeQuantize", "Convert")  # what OpenVINO makes of QuantizeLinear
_SCALING = ("Convert", "Subtract", "Multiply")  # and of DequantizeLinear


class NetworkInput:
    """The input of a network that was cut off what the file does before: (N, H, W, 3), the channels last.

    Attributes:
        type: of its numbers: f32 or bf16, or u8 in front of a layer in INT8.
    """

    def __init__(self, table: np.ndarray, type_: openvino.Type) -> None:
        """Takes what becomes of each byte of each channel, (3, 256) float32, or uint8 for u8."""
        self.type = type_
        self._table = bfloat16_bits(table) if type_ == openvino.Type.bf16 else table
        compiled_look_up(self._table.dtype.name)  # here, or the first image would wait for it

    def fill(self, images: np.ndarray, tensor: openvino.Tensor) -> None:
        """Writes images, (N, H, W, 3) uint8 RGB, into a tensor of the input's type and their shape."""
        apply_lut(images, self._table, tensor.data.view(self._table.dtype))


def split_preprocessing(model: openvino.Model, type_: openvino.Type, path: Path) -> tuple[openvino.Model, NetworkInput]:
    """Cuts a model into what it makes of the bytes of an image, and the network.

    In an INT8 file whose first layer is INT8, the network begins at that layer's bytes: neither normalized numbers nor
    their rounding are computed then.

    Args:
        model: a model file as it was read; it is used up.
        type_: of the floating-point numbers that go in: f32 or bf16.
        path: the file, for messages.

    Returns:
        The network and its input.

    Raises:
        ModelFileError: the file has no tensor `normalized`.
    """
    outputs = (output for node in model.get_ordered_ops() for output in node.outputs())
    normalized = next((output for output in outputs if NORMALIZED in output.names), None)
    if normalized is None:
        raise ModelFileError(f"{path}: has no tensor {NORMALIZED!r}, as a model file has; export the model again")
    rounded = _follow(normalized, _ROUNDING)
    in_bytes = rounded.get_element_type() == openvino.Type.u8
    cut = rounded if in_bytes else normalized
    type_ = openvino.Type.u8 if in_bytes else type_
    table = _table(openvino.Model([cut], model.get_parameters(), "table").clone())
    pixels = opset.parameter([-1, -1, -1, 3], type_, name="pixels")
    pixels.output(0).set_names({"pixels"})
    if in_bytes:
        # OpenVINO takes the layer for INT8 only if the bytes are scaled first and the channels moved then.
        _move_channels(_follow(rounded, _SCALING))
        numbers = pixels
    else:
        numbers = pixels if type_ == openvino.Type.f32 else opset.convert(pixels, "f32")
        numbers = opset.transpose(numbers, [0, 3, 1, 2])
    for reader in cut.get_target_inputs():
        reader.replace_source_output(numbers.output(0))
    return openvino.Model(model.get_results(), [pixels], model.get_friendly_name()), NetworkInput(table, type_)


def _move_channels(output: openvino.Output) -> None:
    """Moves the channels of an output from last to second for all who read it."""
    readers = output.get_target_inputs()
    moved = opset.transpose(output, [0, 3, 1, 2]).output(0)
    for reader in readers:
        reader.replace_source_output(moved)


def _table(bytes_of_image: openvino.Model) -> np.ndarray:
    """Runs the way from `image` to (N, 3, H, W) on every byte and returns what becomes of it, (3, 256).

    Operation by operation, as the file says: compiled, it would multiply by a rounded 1 / std in place of dividing.
    """
    bytes_of_image.reshape([1, 1, 256, 3])
    image = np.repeat(np.arange(256, dtype=np.uint8).reshape(1, 1, 256, 1), 3, axis=3)
    output = bytes_of_image.output(0)
    table = openvino.Tensor(output.get_element_type(), output.get_shape())
    evaluated = bytes_of_image.evaluate([table], [openvino.Tensor(image)])
    assert evaluated
    return np.array(table.data).reshape(3, 256)


def _follow(output: openvino.Output, node_types: tuple[str, ...]) -> openvino.Output:
    """Follows an output through nodes of some types that alone read it, to the last or to the first uint8.

    A node with constants of more than one number ends it too: they depend on the order of the axes.
    """
    while True:
        readers = [reader.get_node() for reader in output.get_target_inputs()]
        if len(readers) != 1 or readers[0].get_type_name() not in node_types or not _is_even(readers[0]):
            return output
        output = readers[0].output(0)
        if output.get_element_type() == openvino.Type.u8:
            return output


def _is_even(node: openvino.Node) -> bool:
    """Says whether a node treats all channels alike."""
    constants = (constant.get_partial_shape() for constant in node.inputs()[1:])
    return all(shape.is_static and math.prod(shape.to_shape()) == 1 for shape in constants)

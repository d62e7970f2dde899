"""How images get into a network in OpenVINO: what a model file makes of their bytes, made by one pass of our own."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Protocol

import numpy as np
import openvino
from openvino import opset13 as opset

from rapidseg.core.errors import ModelFileError
from rapidseg.core.spec import ModelSpec
from rapidseg.runtime.engines.base import NORMALIZED
from rapidseg.runtime.normalizing import compiled_look_up, compiled_normalize, look_up, normalize

_ROUNDING = ("FakeQuantize", "Convert")  # what OpenVINO makes of QuantizeLinear
_SCALING = ("Convert", "Subtract", "Multiply")  # and of DequantizeLinear


class NetworkInput(Protocol):
    """The input of a network that was cut off what the file does before.

    Attributes:
        type: of its numbers.
    """

    type: openvino.Type

    def shape(self, images: tuple[int, ...]) -> list[int]:
        """Returns the input's shape for images of shape (N, H, W, 3)."""
        ...

    def fill(self, images: np.ndarray, tensor: openvino.Tensor) -> None:
        """Writes images, (N, H, W, 3) uint8 RGB, into a tensor of that type and shape."""
        ...


class PlaneInput(NetworkInput):
    """Normalised planes, (N, 3, H, W), in float32 or bf16."""

    def __init__(self, spec: ModelSpec, type_: openvino.Type) -> None:
        self.type = type_
        self._spec = spec
        compiled_normalize("float32" if type_ == openvino.Type.f32 else "uint16")  # or the first image would wait

    def shape(self, images: tuple[int, ...]) -> list[int]:
        count, height, width, channels = images
        return [count, channels, height, width]

    def fill(self, images: np.ndarray, tensor: openvino.Tensor) -> None:
        planes = tensor.data if self.type == openvino.Type.f32 else tensor.data.view(np.uint16)
        normalize(images, self._spec.mean, self._spec.std, planes)


class ByteInput(NetworkInput):
    """What an INT8 file makes of the bytes of an image, bytes again: (N, H, W, 3) uint8."""

    type = openvino.Type.u8

    def __init__(self, table: np.ndarray) -> None:
        """Takes a table: the byte that each byte of each channel becomes, (3, 256) uint8."""
        self._table = table
        compiled_look_up()

    def shape(self, images: tuple[int, ...]) -> list[int]:
        return list(images)

    def fill(self, images: np.ndarray, tensor: openvino.Tensor) -> None:
        look_up(images, self._table, tensor.data)


def cut_input(
    model: openvino.Model, spec: ModelSpec, type_: openvino.Type, path: Path
) -> tuple[openvino.Model, NetworkInput]:
    """Cuts a model into what it makes of the bytes of an image, and the network.

    In an INT8 file whose first layer is INT8, the network begins at that layer's bytes: neither normalised planes nor
    their rounding are computed then, a table of 256 bytes a channel has all of it.

    Args:
        model: a model file as it was read; it is used up.
        spec: what it says about itself.
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
    if rounded.get_element_type() == openvino.Type.u8:
        return _cut_at_bytes(model, rounded)
    planes = opset.parameter(normalized.partial_shape, type_, name=NORMALIZED)
    planes.output(0).set_names({NORMALIZED})
    floats = planes if type_ == openvino.Type.f32 else opset.convert(planes, "f32")
    for reader in normalized.get_target_inputs():
        reader.replace_source_output(floats.output(0))
    return openvino.Model(model.get_results(), [planes], model.get_friendly_name()), PlaneInput(spec, type_)


def _cut_at_bytes(model: openvino.Model, rounded: openvino.Output) -> tuple[openvino.Model, ByteInput]:
    """Cuts a model at the uint8 tensor (N, 3, H, W) in front of its first layer; the input has the channels last."""
    table = _table(openvino.Model([rounded], model.get_parameters(), "table").clone())
    image = opset.parameter([-1, -1, -1, 3], openvino.Type.u8, name="bytes")
    image.output(0).set_names({"bytes"})
    # OpenVINO takes the layer for INT8 only if the bytes are scaled first and the channels moved then.
    scaled = _follow(rounded, _SCALING)
    readers = scaled.get_target_inputs()
    planes = opset.transpose(scaled, [0, 3, 1, 2]).output(0)
    for layer in readers:
        layer.replace_source_output(planes)
    for first in rounded.get_target_inputs():
        first.replace_source_output(image.output(0))
    return openvino.Model(model.get_results(), [image], model.get_friendly_name()), ByteInput(table)


def _table(bytes_of_image: openvino.Model) -> np.ndarray:
    """Runs the way from `image` to the rounded bytes on every byte and returns what becomes of it, (3, 256) uint8."""
    bytes_of_image.reshape([1, 1, 256, 3])
    image = np.repeat(np.arange(256, dtype=np.uint8).reshape(1, 1, 256, 1), 3, axis=3)
    compiled = openvino.Core().compile_model(bytes_of_image, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return np.ascontiguousarray(compiled(image)[0].reshape(3, 256))


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

"""The input of a network in OpenVINO: the model file's preprocessing is replaced by one pass with a lookup table."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import openvino
from openvino import opset13 as opset

from rapidseg.core.errors import ModelFileError
from rapidseg.runtime.engines.engine import NORMALIZED
from rapidseg.runtime.kernels.normalization import apply_lut, bfloat16_bits, compiled_lut

_QUANTIZE = ("FakeQuantize", "Convert")  # OpenVINO's form of QuantizeLinear
_DEQUANTIZE = ("Convert", "Subtract", "Multiply")  # OpenVINO's form of DequantizeLinear


class NetworkInput:
    """The input of a network without its preprocessing: (N, H, W, 3), channels last.

    Attributes:
        type: of its elements: f32 or bf16, or u8 before an INT8 layer.
    """

    def __init__(self, table: np.ndarray, type_: openvino.Type) -> None:
        """Takes the lookup table, (3, 256) float32, or uint8 for u8: the value of each byte of each channel."""
        self.type = type_
        self._table = bfloat16_bits(table) if type_ == openvino.Type.bf16 else table
        compiled_lut(self._table.dtype.name)  # compiled now, so that the first image does not wait for it

    def fill(self, images: np.ndarray, tensor: openvino.Tensor) -> None:
        """Writes images, (N, H, W, 3) uint8 RGB, into a tensor of the same shape and the input's type."""
        apply_lut(images, self._table, tensor.data.view(self._table.dtype))


def split_preprocessing(model: openvino.Model, type_: openvino.Type, path: Path) -> tuple[openvino.Model, NetworkInput]:
    """Splits a model into its preprocessing, which becomes a lookup table, and the network.

    In an INT8 model whose first layer is INT8, the network begins at that layer's bytes, so neither normalization nor
    quantization of the input is computed.

    Args:
        model: a model file as OpenVINO read it; it is modified and must not be used afterwards.
        type_: of the network's floating-point input: f32 or bf16.
        path: of the model file, for messages.

    Returns:
        The network and its input.

    Raises:
        ModelFileError: the file has no tensor `normalized`.
    """
    outputs = (output for node in model.get_ordered_ops() for output in node.outputs())
    normalized = next((output for output in outputs if NORMALIZED in output.names), None)
    if normalized is None:
        raise ModelFileError(f"{path} has no tensor {NORMALIZED!r}, which every model file has; export the model again")
    quantized = _follow(normalized, _QUANTIZE)
    in_bytes = quantized.get_element_type() == openvino.Type.u8
    cut = quantized if in_bytes else normalized
    type_ = openvino.Type.u8 if in_bytes else type_
    table = _table(openvino.Model([cut], model.get_parameters(), "table").clone())
    pixels = opset.parameter([-1, -1, -1, 3], type_, name="pixels")
    pixels.output(0).set_names({"pixels"})
    if in_bytes:
        # OpenVINO computes the layer in INT8 only if dequantization comes before the transpose.
        _transpose_channels(_follow(quantized, _DEQUANTIZE))
        features = pixels
    else:
        features = pixels if type_ == openvino.Type.f32 else opset.convert(pixels, "f32")
        features = opset.transpose(features, [0, 3, 1, 2])
    for reader in cut.get_target_inputs():
        reader.replace_source_output(features.output(0))
    network = openvino.Model(model.get_results(), [pixels], model.get_friendly_name())
    network.validate_nodes_and_infer_types()  # else the nodes of a static file keep the shapes of its own input
    return network, NetworkInput(table, type_)


def _transpose_channels(output: openvino.Output) -> None:
    """Transposes an output from channels last to channels second, for all nodes that read it."""
    readers = output.get_target_inputs()
    transposed = opset.transpose(output, [0, 3, 1, 2]).output(0)
    for reader in readers:
        reader.replace_source_output(transposed)


def _table(preprocessing: openvino.Model) -> np.ndarray:
    """Runs the preprocessing, from `image` to (N, 3, H, W), on every byte and returns the results, (3, 256).

    It is evaluated operation by operation: a compiled model would multiply by a rounded 1 / std instead of dividing.
    """
    preprocessing.reshape([1, 1, 256, 3])
    image = np.repeat(np.arange(256, dtype=np.uint8).reshape(1, 1, 256, 1), 3, axis=3)
    output = preprocessing.output(0)
    table = openvino.Tensor(output.get_element_type(), output.get_shape())
    evaluated = preprocessing.evaluate([table], [openvino.Tensor(image)])
    assert evaluated
    return np.array(table.data).reshape(3, 256)


def _follow(output: openvino.Output, node_types: tuple[str, ...]) -> openvino.Output:
    """Follows an output through nodes of some types, each the only reader of the last, at most to the first uint8.

    A node with non-scalar constants ends it too, since they depend on the order of the axes.
    """
    while True:
        readers = [reader.get_node() for reader in output.get_target_inputs()]
        if len(readers) != 1 or readers[0].get_type_name() not in node_types or not _has_scalar_constants(readers[0]):
            return output
        output = readers[0].output(0)
        if output.get_element_type() == openvino.Type.u8:
            return output


def _has_scalar_constants(node: openvino.Node) -> bool:
    """Says whether all constants of a node are scalars, so that it treats all channels alike."""
    constants = (constant.get_partial_shape() for constant in node.inputs()[1:])
    return all(shape.is_static and math.prod(shape.to_shape()) == 1 for shape in constants)

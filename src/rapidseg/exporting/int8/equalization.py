"""Gives all channels in front of a depthwise convolution the same range, so that INT8 needs only one scale for them.

A depthwise convolution reads each channel by itself, and the ranges of channels differ a hundredfold after batch
normalization: 256 steps for the widest leave few for the others. ReLU and bilinear resizing commute with a positive
factor. So the convolution that makes a channel can multiply it by a factor, and the depthwise convolution divide its
weights by that factor: all channels get the range of the widest, and the outputs of the network do not change
(cross-layer equalization, Nagel et al. 2019, section 4.1, https://arxiv.org/abs/1906.04721).

A scale per channel would do the same, but ONNX Runtime 1.31 fails on some depthwise convolutions with such scales.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from rapidseg.system.cpu import cpu_count

# Operators that commute with a positive factor per channel; Resize is bilinear in our files.
_HOMOGENEOUS = ("Relu", "Resize", "MaxPool")
_MAX_FACTOR = 1000  # channels that are narrower still hardly matter


def equalize_channels(network: onnx.ModelProto, images: Iterable[np.ndarray]) -> onnx.ModelProto:
    """Returns a network with the same outputs, with channels of equal range in front of depthwise convolutions.

    Args:
        network: a model file that is not quantized; it is not changed.
        images: (1, H, W, 3) uint8 RGB each, to measure the ranges of the channels on.
    """
    result = onnx.ModelProto()
    result.CopyFrom(network)
    pairs = list(_pairs(result.graph))
    stored = {tensor.name: tensor for tensor in result.graph.initializer}
    ranges = _ranges(network, [depthwise.input[0] for _, depthwise in pairs], images)
    for (maker, depthwise), channels in zip(pairs, ranges, strict=True):
        widest = channels.max()
        factors = np.where(channels > 0, widest / np.maximum(channels, widest / _MAX_FACTOR), 1)
        for name in maker.input[1:]:
            _scale(stored[name], factors)
        _scale(stored[depthwise.input[1]], 1 / factors)
    return result


def _pairs(graph: onnx.GraphProto) -> Iterator[tuple[onnx.NodeProto, onnx.NodeProto]]:
    """Yields each depthwise convolution that alone reads the output of a convolution, after that convolution."""
    stored = {tensor.name: tensor for tensor in graph.initializer}
    makers = {output: node for node in graph.node for output in node.output}
    readers = Counter(tensor for node in graph.node for tensor in node.input)
    for node in graph.node:
        if node.op_type != "Conv" or not all(name in stored and readers[name] == 1 for name in node.input[1:]):
            continue
        if stored[node.input[1]].dims[1] != 1 or _groups(node) == 1:
            continue
        tensor = node.input[0]
        while readers[tensor] == 1 and tensor in makers and makers[tensor].op_type in _HOMOGENEOUS:
            tensor = makers[tensor].input[0]
        maker = makers.get(tensor)
        if maker is None or maker.op_type != "Conv" or readers[tensor] != 1:
            continue
        if all(name in stored and readers[name] == 1 for name in maker.input[1:]):
            yield maker, node


def _groups(node: onnx.NodeProto) -> int:
    return next((attribute.i for attribute in node.attribute if attribute.name == "group"), 1)


def _ranges(network: onnx.ModelProto, tensors: list[str], images: Iterable[np.ndarray]) -> list[np.ndarray]:
    """Returns for each tensor, (N, C, H, W), the largest absolute value of each channel over all images, (C,)."""
    import onnxruntime

    onnxruntime.disable_telemetry_events()

    if not tensors:
        return []
    observed = onnx.ModelProto()
    observed.CopyFrom(network)
    graph = observed.graph
    graph.initializer.append(numpy_helper.from_array(np.array([0, 2, 3]), "equalization.axes"))
    for tensor in tensors:
        graph.node.append(helper.make_node("Abs", [tensor], [f"{tensor}.absolute"]))
        graph.node.append(
            helper.make_node(
                "ReduceMax", [f"{tensor}.absolute", "equalization.axes"], [f"{tensor}.largest"], keepdims=0
            )
        )
        graph.output.append(helper.make_tensor_value_info(f"{tensor}.largest", TensorProto.FLOAT, ["channels"]))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = cpu_count()
    session = onnxruntime.InferenceSession(observed.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [f"{tensor}.largest" for tensor in tensors]
    largest = [np.zeros(1, np.float32) for _ in tensors]
    for image in images:
        largest = [np.maximum(*both) for both in zip(largest, session.run(names, {"image": image}), strict=True)]
    return largest


def _scale(tensor: onnx.TensorProto, factors: np.ndarray) -> None:
    """Multiplies the outputs of a convolution's weights or bias by factors; several outputs may share a channel."""
    values = numpy_helper.to_array(tensor)
    repeated = np.repeat(factors, len(values) // len(factors)).astype(np.float32)
    scaled = values * repeated.reshape(-1, *[1] * (values.ndim - 1))
    tensor.CopyFrom(numpy_helper.from_array(scaled, tensor.name))

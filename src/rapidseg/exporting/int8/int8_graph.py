"""INT8 graphs: NNCF calibrates them, and single layers go back to floating point.

An INT8 graph is an ordinary ONNX graph in which pairs of QuantizeLinear and DequantizeLinear stand in front of the
layers that an engine may compute in INT8, and whose weights are stored as int8. The standard says what it computes;
engines put integer arithmetic in the place of the pairs.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from rapidseg.core.errors import ExportError
from rapidseg.core.quiet import quiet_libraries
from rapidseg.core.spec import ModelSpec
from rapidseg.runtime.engines.base import NORMALIZED


def quantize_graph(
    network: onnx.ModelProto,
    spec: ModelSpec,
    samples: Sequence[Any],
    prepare: Callable[[Any], np.ndarray],
    *,
    progress: Callable[[int], None] | None = None,
) -> onnx.ModelProto:
    """Puts every convolution, and every sum of convolutions, into INT8.

    Nothing else is. Normalization has to stay as it is for engines that cut it off; pooling and resizing, which are
    matrix products and interpolation, would lose accuracy and gain no time.

    Weights are symmetric, with a scale for each output channel, and keep to half of their range: processors without
    VNNI add products in 16 bits, which the whole range would overflow. Activations are unsigned, with one scale a
    layer; their range is that of the largest and smallest values seen, and for `normalized` that of all bytes.

    Args:
        network: a model file that is not quantized, with equal channels (`equalize_channels`).
        spec: what it says about itself.
        samples: what it is calibrated on; read anew for each of NNCF's passes.
        prepare: makes a sample an image as the network sees it, (1, H, W, 3) uint8 RGB.
        progress: called after each sample of each pass with the number done.

    Raises:
        ExportError: there is nothing that could be INT8.
    """
    os.environ.setdefault("NNCF_CI", "1")  # or it would send notes of its use to its makers
    import nncf
    from nncf.quantization.advanced_parameters import (
        AdvancedQuantizationParameters,
        OverflowFix,
        QuantizationParameters,
    )
    from nncf.quantization.range_estimator import RangeEstimatorParametersSet

    chosen = {node.name for node in layer_nodes(network).values()}
    if not chosen:
        raise ExportError("the file has no convolution with stored weights, so there is nothing to put into INT8")
    # Activation functions are left to NNCF, or it would put a pair between a convolution and its ReLU.
    ignored = [node.name for node in network.graph.node if node.name not in chosen and node.op_type != "Relu"]
    done = 0

    def feed(sample: Any) -> dict[str, np.ndarray]:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done)
        return {"image": prepare(sample)}

    with quiet_libraries(stdout=True):  # NNCF's notes and progress bars
        quantized: onnx.ModelProto = nncf.quantize(
            network,
            nncf.Dataset(samples, feed),
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(samples),
            fast_bias_correction=True,
            ignored_scope=nncf.IgnoredScope(names=ignored),
            advanced_parameters=AdvancedQuantizationParameters(
                overflow_fix=OverflowFix.ENABLE,
                activations_quantization_params=QuantizationParameters(per_channel=False),
                # NNCF's default, the mean of each image's largest value, cuts off what is bright in few images.
                activations_range_estimator_params=RangeEstimatorParametersSet.MINMAX,
            ),
        )
    del quantized.graph.value_info[:]
    _make_unsigned(quantized.graph)
    _widen_to_all_bytes(quantized.graph, spec)
    return quantized


def layer_nodes(network: onnx.ModelProto) -> dict[str, onnx.NodeProto]:
    """Returns the nodes of a file that is not quantized which can be INT8, in order.

    They go by the name of their weights; a sum goes by the convolution in front of it.
    """
    stored = {tensor.name for tensor in network.graph.initializer}
    layers: dict[str, onnx.NodeProto] = {}
    convolved: dict[str, str] = {}  # outputs of convolutions, and the name of each
    for node in network.graph.node:
        if node.op_type == "Conv" and node.input[1] in stored:
            name = node.input[1].removesuffix(".weight")
            layers[name] = node
            convolved[node.output[0]] = name
        elif node.op_type == "Add" and not stored.intersection(node.input):
            summed = [convolved[tensor] for tensor in node.input if tensor in convolved]
            if summed:
                layers[f"sum after {summed[-1]}"] = node
    return layers


def keep_layers(quantized: onnx.ModelProto, network: onnx.ModelProto, kept: Collection[str]) -> onnx.ModelProto:
    """Returns an INT8 graph in which some layers are as they were in the file that it was made from.

    Args:
        quantized: what `quantize_graph` made of `network`; it is not changed.
        network: that file.
        kept: names of layers (`layer_nodes`).
    """
    result = onnx.ModelProto()
    result.CopyFrom(quantized)
    graph = result.graph
    makers = {output: node for node in graph.node for output in node.output}
    nodes = {node.name: node for node in graph.node}
    stored = {tensor.name: tensor for tensor in graph.initializer}
    originals = {tensor.name: tensor for tensor in network.graph.initializer}
    layers = layer_nodes(network)
    for name in kept:
        original, node = layers[name], nodes[layers[name].name]
        for place, tensor in enumerate(original.input):
            if tensor not in originals:
                node.input[place] = _before_pair(node.input[place], makers)
                continue
            node.input[place] = tensor
            if tensor in stored:  # the bias, which NNCF corrected for the rounding of the weights
                stored[tensor].CopyFrom(originals[tensor])
            else:
                graph.initializer.append(originals[tensor])
    _drop_unused(graph)
    return result


def _before_pair(tensor: str, makers: dict[str, onnx.NodeProto]) -> str:
    """Returns what goes into the pair of nodes that `tensor` comes from, or `tensor` if it comes from none."""
    dequantize = makers.get(tensor)
    if dequantize is None or dequantize.op_type != "DequantizeLinear":
        return tensor
    quantize = makers[dequantize.input[0]]
    return quantize.input[0]


def _drop_unused(graph: onnx.GraphProto) -> None:
    while True:
        used = {tensor for node in graph.node for tensor in node.input} | {output.name for output in graph.output}
        unused = [node for node in graph.node if used.isdisjoint(node.output)]
        if not unused:
            break
        for node in unused:
            graph.node.remove(node)
    for tensor in [tensor for tensor in graph.initializer if tensor.name not in used]:
        graph.initializer.remove(tensor)


def _make_unsigned(graph: onnx.GraphProto) -> None:
    """Makes all activations uint8, which changes no value: the zero point moves with the range.

    OpenVINO 2026.4 computes wrong values where int8 activations come from a concatenation of resized tensors.
    """
    stored = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "QuantizeLinear":
            zero_point = numpy_helper.to_array(stored[node.input[2]])
            moved = (zero_point.astype(np.int16) - np.iinfo(zero_point.dtype).min).astype(np.uint8)
            stored[node.input[2]].CopyFrom(numpy_helper.from_array(moved, node.input[2]))


def _widen_to_all_bytes(graph: onnx.GraphProto, spec: ModelSpec) -> None:
    """Gives the pair behind `normalized` the range of everything that bytes can become."""
    stored = {tensor.name: tensor for tensor in graph.initializer}
    mean, std = np.array(spec.mean), np.array(spec.std)
    lowest, highest = (-mean / std).min(), ((255 - mean) / std).max()
    scale = np.float32((highest - lowest) / 255)
    zero_point = np.uint8(np.rint(-lowest / scale).clip(0, 255))
    for node in graph.node:
        if node.op_type == "QuantizeLinear" and node.input[0] == NORMALIZED:
            stored[node.input[1]].CopyFrom(numpy_helper.from_array(np.asarray(scale), node.input[1]))
            stored[node.input[2]].CopyFrom(numpy_helper.from_array(np.asarray(zero_point), node.input[2]))

"""The layers of a file that can be INT8, and INT8 graphs in which some of them stay in floating point."""

from __future__ import annotations

from collections.abc import Collection

import onnx


def layer_nodes(network: onnx.ModelProto) -> dict[str, onnx.NodeProto]:
    """Returns the nodes that can be INT8, in order, of a file that is not quantized.

    A convolution is named after its weights, and a sum after the convolution in front of it.
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


def with_fallback_layers(
    quantized: onnx.ModelProto, network: onnx.ModelProto, fallback_layers: Collection[str]
) -> onnx.ModelProto:
    """Returns an INT8 graph in which some layers compute in floating point, as in the file that it was made from.

    Args:
        quantized: the graph that `quantize_graph` made of `network`; it is not changed.
        network: that file.
        fallback_layers: names of layers (`layer_nodes`).
    """
    result = onnx.ModelProto()
    result.CopyFrom(quantized)
    graph = result.graph
    makers = {output: node for node in graph.node for output in node.output}
    nodes = {node.name: node for node in graph.node}
    stored = {tensor.name: tensor for tensor in graph.initializer}
    originals = {tensor.name: tensor for tensor in network.graph.initializer}
    layers = layer_nodes(network)
    for name in fallback_layers:
        original, node = layers[name], nodes[layers[name].name]
        for index, tensor in enumerate(original.input):
            if tensor not in originals:
                node.input[index] = _before_pair(node.input[index], makers)
                continue
            node.input[index] = tensor
            if tensor in stored:  # the bias, which NNCF corrected for the rounding of the weights
                stored[tensor].CopyFrom(originals[tensor])
            else:
                graph.initializer.append(originals[tensor])
    _drop_unused(graph)
    return result


def _before_pair(tensor: str, makers: dict[str, onnx.NodeProto]) -> str:
    """Returns the input of the QuantizeLinear/DequantizeLinear pair that makes `tensor`; without a pair, `tensor`."""
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

"""The network of a model file, without preprocessing, as a list of operators with constants."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from rapidseg.core.errors import EngineError, ModelFileError
from rapidseg.runtime.engines.engine import NORMALIZED, OUTPUT, check_names

_QUANTIZED = ("QuantizeLinear", "DequantizeLinear")
_FUSED_WITH_ACTIVATION = ("Conv", "Add")  # if nothing but the activation reads the result


@dataclass(frozen=True)
class Node:
    """An operator.

    Attributes:
        operator: its name in ONNX.
        inputs: names of tensors; "" for an omitted optional one.
        output: name of the tensor that it computes.
        attributes: by name; strings as `str`.
        bounds: lowest and highest result, to which a fused ReLU or ReLU6 clamps; None: no activation.
    """

    operator: str
    inputs: tuple[str, ...]
    output: str
    attributes: Mapping[str, Any]
    bounds: tuple[float, float] | None = None


@dataclass(frozen=True, eq=False)
class Graph:
    """The network from `NORMALIZED` to `OUTPUT`.

    Attributes:
        nodes: in topological order.
        constants: weights and other constants, by the names of their tensors.
    """

    nodes: tuple[Node, ...]
    constants: Mapping[str, np.ndarray]


def read_graph(path: Path, operators: Sequence[str]) -> Graph:
    """Reads the network of a model file.

    Args:
        path: a model file of `rapidseg export`.
        operators: names of the supported operators.

    Raises:
        EngineError: it is an INT8 model.
        ModelFileError: the file cannot be read, is not a model file, or has an unsupported operator.
    """
    try:
        graph = onnx.load(str(path)).graph
    except Exception as error:  # the exceptions of protocol buffers have no public base
        raise ModelFileError(f"{path}: the onnx package cannot read it: {error}; export the model again") from error
    check_names(path, [port.name for port in graph.input], [port.name for port in graph.output])
    if any(node.op_type in _QUANTIZED for node in graph.node):
        raise EngineError(
            f"{path} is an INT8 model, which PyTorch cannot run; use engine openvino or onnxruntime, or the model that "
            "it was quantized from"
        )
    if not any(NORMALIZED in node.output for node in graph.node):
        raise ModelFileError(f"{path} has no tensor {NORMALIZED!r}, which every model file has; export the model again")
    nodes = _needed([_read(node) for node in graph.node])
    for node in nodes:
        if node.operator not in operators:
            raise ModelFileError(
                f"{path} has the operator {node.operator}, which the PyTorch engine does not support; export the "
                "model again with this version of rapidseg, or use engine openvino"
            )
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    nodes = _fuse_activations(nodes, constants)
    used = {name for node in nodes for name in node.inputs}
    return Graph(tuple(nodes), {name: value for name, value in constants.items() if name in used})


def _read(node: onnx.NodeProto) -> Node:
    attributes = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
    texts = {name: value.decode() for name, value in attributes.items() if isinstance(value, bytes)}
    return Node(node.op_type, tuple(node.input), node.output[0], {**attributes, **texts})


def _needed(nodes: Sequence[Node]) -> list[Node]:
    """Returns the nodes between `NORMALIZED` and `OUTPUT`."""
    read = {OUTPUT}
    needed = []
    for node in reversed(nodes):  # files are in topological order
        if node.output in read and node.output != NORMALIZED:
            needed.append(node)
            read.update(node.inputs)
    return needed[::-1]


def _fuse_activations(nodes: Sequence[Node], constants: Mapping[str, np.ndarray]) -> list[Node]:
    """Fuses ReLU and ReLU6 with the operator before, so that both can be one pass over memory."""
    readers = Counter(name for node in nodes for name in node.inputs)
    producers: dict[str, int] = {}  # by name of a tensor: index in `fused` of the node that computes it
    fused: list[Node] = []
    for node in nodes:
        bounds = _bounds(node, constants)
        index = producers.get(node.inputs[0]) if bounds is not None else None
        if index is not None and readers[node.inputs[0]] == 1 and _can_fuse(fused[index]):
            fused[index] = replace(fused[index], output=node.output, bounds=bounds)
        else:
            index = len(fused)
            fused.append(node)
        producers[node.output] = index
    return fused


def _can_fuse(node: Node) -> bool:
    return node.operator in _FUSED_WITH_ACTIVATION and node.bounds is None


def _bounds(node: Node, constants: Mapping[str, np.ndarray]) -> tuple[float, float] | None:
    if node.operator == "Relu":
        return 0.0, float("inf")
    if node.operator == "Clip" and len(node.inputs) == 3 and all(name in constants for name in node.inputs[1:]):
        return float(constants[node.inputs[1]]), float(constants[node.inputs[2]])
    return None

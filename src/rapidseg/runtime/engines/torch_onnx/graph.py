"""A model file as a list of operators with constants, cut off at what the network itself sees."""

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
from rapidseg.runtime.engines.base import NORMALIZED, OUTPUT, check_names

_QUANTIZED = ("QuantizeLinear", "DequantizeLinear")
_WITH_ACTIVATION = ("Conv", "Add")  # what an activation is put into, where nothing else reads the result


@dataclass(frozen=True)
class Node:
    """One operator.

    Attributes:
        operator: its name in ONNX.
        inputs: names of tensors; "" where an optional one is left out.
        output: name of the tensor that it makes.
        attributes: by name; text as `str`.
        bounds: between which its results are clamped at last, as by ReLU or ReLU6; None: not at all.
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
        nodes: in an order in which they can be computed.
        constants: weights and numbers, by the names of their tensors.
    """

    nodes: tuple[Node, ...]
    constants: Mapping[str, np.ndarray]


def read_graph(path: Path, operators: Sequence[str]) -> Graph:
    """Reads the network of a model file.

    Args:
        path: a file that `rapidseg export` wrote.
        operators: the names of those that can be run.

    Raises:
        EngineError: it is an INT8 file.
        ModelFileError: the file cannot be read, is no model file, or has another operator.
    """
    try:
        graph = onnx.load(str(path)).graph
    except Exception as error:  # protocol buffers raise an exception of their own, which has no public base
        raise ModelFileError(f"{path}: the onnx package cannot read it: {error}; export the model again") from error
    check_names(path, [port.name for port in graph.input], [port.name for port in graph.output])
    if any(node.op_type in _QUANTIZED for node in graph.node):
        raise EngineError(
            f"{path} is an INT8 file, which PyTorch does not run; use engine openvino or onnxruntime, or take the file "
            "that it was made from"
        )
    if not any(NORMALIZED in node.output for node in graph.node):
        raise ModelFileError(f"{path}: has no tensor {NORMALIZED!r}, as a model file has; export the model again")
    nodes = _needed([_read(node) for node in graph.node])
    for node in nodes:
        if node.operator not in operators:
            raise ModelFileError(
                f"{path}: has the operator {node.operator}, which the PyTorch engine does not know; export the model "
                "again with this version of rapidseg, or use engine openvino"
            )
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    nodes = _with_activations(nodes, constants)
    used = {name for node in nodes for name in node.inputs}
    return Graph(tuple(nodes), {name: value for name, value in constants.items() if name in used})


def _read(node: onnx.NodeProto) -> Node:
    attributes = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
    texts = {name: value.decode() for name, value in attributes.items() if isinstance(value, bytes)}
    return Node(node.op_type, tuple(node.input), node.output[0], {**attributes, **texts})


def _needed(nodes: Sequence[Node]) -> list[Node]:
    """Returns those between `NORMALIZED` and `OUTPUT`."""
    wanted = {OUTPUT}
    needed = []
    for node in reversed(nodes):  # a file has them in an order in which they can be computed
        if node.output in wanted and node.output != NORMALIZED:
            needed.append(node)
            wanted.update(node.inputs)
    return needed[::-1]


def _with_activations(nodes: Sequence[Node], constants: Mapping[str, np.ndarray]) -> list[Node]:
    """Puts ReLU and ReLU6 into the operator before, so that both can be one pass over memory."""
    readers = Counter(name for node in nodes for name in node.inputs)
    made: dict[str, int] = {}  # place, among those kept, of what makes a tensor
    kept: list[Node] = []
    for node in nodes:
        bounds = _bounds(node, constants)
        place = made.get(node.inputs[0]) if bounds is not None else None
        if place is not None and readers[node.inputs[0]] == 1 and _takes_activation(kept[place]):
            kept[place] = replace(kept[place], output=node.output, bounds=bounds)
        else:
            place = len(kept)
            kept.append(node)
        made[node.output] = place
    return kept


def _takes_activation(node: Node) -> bool:
    return node.operator in _WITH_ACTIVATION and node.bounds is None


def _bounds(node: Node, constants: Mapping[str, np.ndarray]) -> tuple[float, float] | None:
    if node.operator == "Relu":
        return 0.0, float("inf")
    if node.operator == "Clip" and len(node.inputs) == 3 and all(name in constants for name in node.inputs[1:]):
        return float(constants[node.inputs[1]]), float(constants[node.inputs[2]])
    return None

"""Fixes the input of a model file to one image of one size, and folds into constants all that depends on the size.

A dynamic file computes sizes in the graph: where a pooling cell begins, to which size a map is resized. Programs that
plan a network before its first image, such as OpenCV, cannot read that. Once the size is fixed, these values are
constants, and what remains are plain operators: convolutions, matrix products with a constant, resizing to a constant
size.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from rapidseg.core.errors import ExportError
from rapidseg.core.sizes import SizeHW, format_size

_KEPT = ("QuantizeLinear", "DequantizeLinear")  # folding these would turn the bytes of INT8 weights into floats
_MAX_SHAPE = 1 << 10  # elements; the values of a larger constant never are a shape

Shape = tuple[int | None, ...]
"""Of a tensor; None for a side that is not known."""


def make_static(file: onnx.ModelProto, size_hw: SizeHW) -> onnx.ModelProto:
    """Returns a copy of a model file that takes one image of `size_hw`, without arithmetic on sizes.

    Args:
        file: a dynamic model file; it is not changed.
        size_hw: height and width of the only image that the copy takes.

    Raises:
        ExportError: the size of a tensor depends on the pixels of the image.
    """
    copied = onnx.ModelProto()
    copied.CopyFrom(file)
    graph = copied.graph
    _set_shape(graph.input[0], (1, *size_hw, 3))
    for output in graph.output:
        output.type.tensor_type.ClearField("shape")
    del graph.value_info[:]
    shapes = _infer_shapes(copied)
    while _fold_constants(copied) + _fold_shapes(graph, shapes):
        shapes = _infer_shapes(copied)
    for output in graph.output:
        shape = [side for side in shapes.get(output.name, (None,)) if side is not None]
        if len(shape) != len(shapes.get(output.name, (None,))) or any(node.op_type == "Shape" for node in graph.node):
            raise ExportError(
                f"the graph cannot be fixed to {format_size(size_hw)}: the size of {output.name} depends on the pixels "
                "of the image; export the model without a static size"
            )
        _set_shape(output, shape)
    _simplify(graph, shapes)
    remove_unused(graph)
    onnx.checker.check_model(copied, full_check=True)
    return copied


def remove_unused(graph: onnx.GraphProto) -> None:
    """Removes the nodes and constants of a graph that no output needs."""
    read = {output.name for output in graph.output}
    unused = []
    for node in reversed(graph.node):  # files are in topological order
        if read.isdisjoint(node.output):
            unused.append(node)
        else:
            read.update(node.input)
    _remove(graph, unused)
    kept = [tensor for tensor in graph.initializer if tensor.name in read]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def _fold_constants(file: onnx.ModelProto) -> int:
    """Replaces nodes that read only constants by their results; returns how many."""
    graph = file.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    known = {"", *constants}
    folded = []
    for node in graph.node:
        if node.op_type not in _KEPT and known.issuperset(node.input):
            folded.append(node)
            known.update(node.output)
    _remove(graph, folded)
    needed = {name for node in graph.node for name in node.input} | {output.name for output in graph.output}
    results = [name for node in folded for name in node.output if name in needed]
    if results:
        read = {name for node in folded for name in node.input}
        outputs = [onnx.ValueInfoProto(name=name) for name in results]
        part = helper.make_graph(folded, "constants", [], outputs, [constants[name] for name in read & set(constants)])
        # The reference implementation of the ONNX standard
        values = ReferenceEvaluator(helper.make_model(part, opset_imports=file.opset_import)).run(None, {})
        graph.initializer.extend(map(numpy_helper.from_array, values, results))
    return len(folded)


def _fold_shapes(graph: onnx.GraphProto, shapes: Mapping[str, Shape]) -> int:
    """Replaces the Shape nodes whose result is known; returns how many."""
    folded = []
    for node in graph.node:
        if node.op_type != "Shape":
            continue
        bounds = {attribute.name: attribute.i for attribute in node.attribute}
        sides = shapes.get(node.input[0], (None,))[bounds.get("start", 0) : bounds.get("end")]
        if None not in sides:
            folded.append(node)
            _constant(graph, node.output[0], sides)
    _remove(graph, folded)
    return len(folded)


def _simplify(graph: onnx.GraphProto, shapes: Mapping[str, Shape]) -> None:
    """Replaces what OpenCV does not compute right by operators with the same result.

    - OpenCV 4 refuses Squeeze and Unsqueeze of several axes: with known sizes, both are Reshape.
    - It fails at some batch normalizations that follow no convolution: they become a product and a sum.
    - The default engine of OpenCV 5.0 resizes a map that is one pixel high or wide from memory beyond it, so the pixel
      is repeated by Expand first.
    """
    nodes = []
    constants = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        output = node.output[0]
        if node.op_type in ("Squeeze", "Unsqueeze"):
            shape = _constant(graph, f"{output}.shape", shapes[output])
            nodes.append(helper.make_node("Reshape", [node.input[0], shape], [output], node.name))
        elif node.op_type == "Resize" and 1 in shapes[node.input[0]][2:]:
            sides = zip(shapes[node.input[0]], shapes[output], strict=True)
            expanded = [new if old == 1 else old for old, new in sides]
            is_whole = expanded == list(shapes[output])
            name = output if is_whole else f"{output}.expanded"
            shape = _constant(graph, f"{output}.expanded_shape", expanded)
            nodes.append(helper.make_node("Expand", [node.input[0], shape], [name], f"{node.name}.Expand"))
            if not is_whole:
                node.input[0] = name
                nodes.append(node)
        elif node.op_type == "BatchNormalization" and len(node.output) == 1 and set(node.input[1:]) <= set(constants):
            scale, shift = _scale_and_shift(node, constants, ndim=len(shapes[output]))
            graph.initializer.extend(
                [numpy_helper.from_array(scale, f"{output}.scale"), numpy_helper.from_array(shift, f"{output}.shift")]
            )
            scaled = f"{output}.scaled"
            nodes.append(helper.make_node("Mul", [node.input[0], f"{output}.scale"], [scaled], f"{node.name}.Mul"))
            nodes.append(helper.make_node("Add", [scaled, f"{output}.shift"], [output], f"{node.name}.Add"))
        else:
            nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)


def _scale_and_shift(
    node: onnx.NodeProto, constants: Mapping[str, onnx.TensorProto], *, ndim: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns what a batch normalization multiplies its channels by, and adds to them, as (1, C, 1, ...) float32."""
    epsilon = next((attribute.f for attribute in node.attribute if attribute.name == "epsilon"), 1e-5)
    values = (numpy_helper.to_array(constants[name]).astype(np.float64) for name in node.input[1:])
    scale, shift, mean, variance = (value.reshape(1, -1, *[1] * (ndim - 2)) for value in values)
    scale = scale / np.sqrt(variance + epsilon)
    return scale.astype(np.float32), (shift - mean * scale).astype(np.float32)


def _constant(graph: onnx.GraphProto, name: str, numbers: Sequence[int | None]) -> str:
    """Adds a constant, (n,) int64, to a graph and returns its name."""
    graph.initializer.append(numpy_helper.from_array(np.array(numbers, np.int64), name))
    return name


def _infer_shapes(file: onnx.ModelProto) -> dict[str, Shape]:
    """Returns the shapes of all tensors as far as ONNX can tell them."""
    light = onnx.ModelProto()
    light.CopyFrom(file)
    for tensor in light.graph.initializer:  # weights, which may have hundreds of megabytes
        if len(tensor.raw_data) > 8 * _MAX_SHAPE:
            tensor.ClearField("raw_data")
    inferred = onnx.shape_inference.infer_shapes(light, data_prop=True).graph
    return {
        value.name: tuple(
            side.dim_value if side.HasField("dim_value") else None for side in value.type.tensor_type.shape.dim
        )
        for value in (*inferred.input, *inferred.value_info, *inferred.output)
        if value.type.tensor_type.HasField("shape")
    }


def _set_shape(value: onnx.ValueInfoProto, shape: Sequence[int]) -> None:
    tensor_type = value.type.tensor_type
    tensor_type.shape.CopyFrom(helper.make_tensor_type_proto(tensor_type.elem_type, shape).tensor_type.shape)


def _remove(graph: onnx.GraphProto, nodes: Iterable[onnx.NodeProto]) -> None:
    removed = {node.output[0] for node in nodes}
    kept = [node for node in graph.node if node.output[0] not in removed]
    del graph.node[:]
    graph.node.extend(kept)

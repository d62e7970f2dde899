"""Makes a model file of a checkpoint without PyTorch: fills a template with the checkpoint's weights.

The result equals what `rapidseg.exporting.export_onnx` writes for the same checkpoint, up to the rounding of float32.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rapidseg.checkpoints import StoredTensor, checksum
from rapidseg.core.errors import ModelFileError
from rapidseg.core.files import atomic_path
from rapidseg.core.spec import SPEC_KEY, ModelSpec
from rapidseg.importing.recognition import RecognizedCheckpoint
from rapidseg.importing.template import (
    Template,
    find_template,
    folded_bias,
    folded_weight,
    norm_inputs,
    unusual_options,
    variant_options,
)
from rapidseg.runtime.content_check import write_checksum
from rapidseg.runtime.protobuf import bytes_field, field_header, read_fields, varint_field

# Field numbers in onnx.proto.
_MODEL_GRAPH, _MODEL_METADATA = 7, 14
_GRAPH_INITIALIZER, _GRAPH_OUTPUT = 5, 12
_TENSOR_DIMS, _TENSOR_TYPE, _TENSOR_NAME, _TENSOR_RAW = 1, 2, 8, 9
_FLOAT = 1

_Chunk = bytes | tuple[int, Callable[[], np.ndarray]]
"""A part of the file: bytes, or their number and a function that computes them."""


def build_model_file(
    checkpoint: RecognizedCheckpoint,
    path: str | os.PathLike[str],
    *,
    measure: Callable[[Path, ModelSpec], dict[str, float]] | None = None,
) -> ModelSpec | None:
    """Writes a model file.

    Args:
        checkpoint: weights and network.
        path: the file to write.
        measure: returns `ModelSpec.precisions` for a file, whose name is not the final one.

    Returns:
        The specification in the file; None if there is no template for the network's options, and no file.

    Raises:
        ModelFileError: the tensors do not fit the network.
        RapidSegError: the file cannot be written.
    """
    architecture, options = _network(checkpoint)
    template = find_template(architecture, options)
    if template is None:
        return None
    spec = checkpoint.spec or _specify(checkpoint, template, options)
    state = checkpoint.state
    problems = template.misfits(state, spec.labels.num_classes, options)
    if problems:
        raise ModelFileError(f"{checkpoint.where}: the tensors do not fit {architecture}; {problems}")
    spec = spec.model_copy(update={"checksum": checksum(state)})
    with atomic_path(path) as temporary:
        with temporary.open("wb") as file:
            for chunk in _model(template, state, spec):
                file.write(chunk if isinstance(chunk, bytes) else np.ascontiguousarray(chunk[1]()).data)
        if measure is not None and not spec.precisions:
            spec = spec.model_copy(update={"precisions": measure(temporary, spec)})
        with temporary.open("ab") as file:
            entry = bytes_field(1, SPEC_KEY.encode()) + bytes_field(2, spec.to_json().encode())
            file.write(bytes_field(_MODEL_METADATA, entry))
        write_checksum(temporary)
    return spec


def explain_no_template(checkpoint: RecognizedCheckpoint) -> str:
    """Returns which options keep a checkpoint from becoming a model file without PyTorch, such as ` (width=0.5)`."""
    named = unusual_options(*_network(checkpoint))
    return f" ({named})" if named else ""


def _network(checkpoint: RecognizedCheckpoint) -> tuple[str, dict[str, Any]]:
    """Returns the architecture and all options of the network, as JSON has them."""
    if checkpoint.spec is not None:
        return checkpoint.spec.architecture, checkpoint.spec.options
    layout = checkpoint.layout
    assert layout is not None, "a file has a specification of ours or a layout"
    told = {key: list(value) if isinstance(value, tuple) else value for key, value in checkpoint.options.items()}
    return layout.architecture, {**variant_options()[layout.architecture][layout.variant], **told}


def _specify(checkpoint: RecognizedCheckpoint, template: Template, options: dict[str, Any]) -> ModelSpec:
    """Returns the specification of a published checkpoint."""
    assert checkpoint.layout is not None, "a file has a specification of ours or a layout"
    return ModelSpec(
        architecture=checkpoint.layout.architecture,
        options=options,
        labels=checkpoint.labels,
        stride=template.stride,
        align_corners=options["align_corners"],
        **checkpoint.origin,
    )


def _model(template: Template, state: Mapping[str, StoredTensor], spec: ModelSpec) -> Iterator[_Chunk]:
    """Yields the parts of the file in their order, without the metadata."""
    graph = list(_graph(template, state, spec))
    length = sum(len(chunk) if isinstance(chunk, bytes) else chunk[0] for chunk in graph)
    for field in read_fields(template.graph):
        if field.number == _MODEL_GRAPH:
            yield field_header(_MODEL_GRAPH, length)
            yield from graph
        elif field.number != _MODEL_METADATA:
            yield template.graph[field.start : field.end]


def _graph(template: Template, state: Mapping[str, StoredTensor], spec: ModelSpec) -> Iterator[_Chunk]:
    model = template.graph
    place = next(field for field in read_fields(model) if field.number == _MODEL_GRAPH)
    graph = model[place.body : place.end]
    for field in read_fields(graph):
        if field.number == _GRAPH_OUTPUT:
            yield bytes_field(_GRAPH_OUTPUT, _logits(spec.labels.num_classes))
        elif field.number == _GRAPH_INITIALIZER:
            yield from _initializer(
                graph[field.body : field.end], graph[field.start : field.end], template, state, spec
            )
        else:
            yield graph[field.start : field.end]


def _initializer(
    tensor: bytes, field: bytes, template: Template, state: Mapping[str, StoredTensor], spec: ModelSpec
) -> Iterator[_Chunk]:
    """Yields a value of the graph: a constant as it is, weights from the network's tensors."""
    name = next(tensor[part.body : part.end].decode() for part in read_fields(tensor) if part.number == _TENSOR_NAME)
    rule = template.rules.get(name)
    if rule is None:
        yield field
        return
    shape = _shape(rule, state)
    num_bytes = 4 * math.prod(shape)
    header = b"".join(varint_field(_TENSOR_DIMS, size) for size in shape)
    header += varint_field(_TENSOR_TYPE, _FLOAT) + bytes_field(_TENSOR_NAME, name.encode())
    header += field_header(_TENSOR_RAW, num_bytes)
    yield field_header(_GRAPH_INITIALIZER, len(header) + num_bytes) + header
    yield num_bytes, lambda: _values(rule, state, spec).astype("<f4", copy=False)


def _shape(rule: Mapping[str, Any], state: Mapping[str, StoredTensor]) -> tuple[int, ...]:
    if "spec" in rule:
        return (1, 3, 1, 1)
    if "tensor" in rule:
        return tuple(rule.get("shape", state[rule["tensor"]].shape))
    weight = state[rule["conv"]].shape
    return weight if rule["part"] == "weight" else weight[:1]


def _values(rule: Mapping[str, Any], state: Mapping[str, StoredTensor], spec: ModelSpec) -> np.ndarray:
    if "spec" in rule:
        return np.asarray(getattr(spec, rule["spec"]), np.float32)
    if "tensor" in rule:
        return state[rule["tensor"]].numpy()
    values = {name: state[name].numpy() for name in norm_inputs(rule) if name in state}
    return folded_bias(rule, values) if rule["part"] == "bias" else folded_weight(rule, values)


def _logits(num_classes: int) -> bytes:
    """Returns the description of the output: float32 (batch, num_classes, logits_height, logits_width)."""
    dims = [
        bytes_field(2, b"batch"),
        varint_field(1, num_classes),
        bytes_field(2, b"logits_height"),
        bytes_field(2, b"logits_width"),
    ]
    shape = b"".join(bytes_field(1, dim) for dim in dims)
    tensor_type = varint_field(1, _FLOAT) + bytes_field(2, shape)
    return bytes_field(1, b"logits") + bytes_field(2, bytes_field(1, tensor_type))

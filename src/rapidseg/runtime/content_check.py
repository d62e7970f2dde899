"""Whether the content of a model file is what was written: its checksum, and its weights where it has none.

The metadata entry `rapidseg.checksum` is the SHA-256 of the rest of the file: every field of the ONNX model, and of the
metadata the specification. Other entries of the metadata may be added and changed by other programs.
"""

from __future__ import annotations

import hashlib
import mmap
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from rapidseg.core.spec import SPEC_KEY
from rapidseg.runtime.protobuf import BYTES, Field, bytes_field, read_fields

CHECKSUM_KEY = "rapidseg.checksum"  # metadata key of the checksum in ONNX files

# Field numbers in onnx.proto: of ModelProto, StringStringEntryProto, GraphProto and TensorProto.
GRAPH, METADATA_PROPS = 7, 14
KEY, VALUE = 1, 2
_INITIALIZER = 5
_TYPE, _FLOAT_DATA, _NAME, _RAW_DATA = 2, 4, 8, 9
_FLOATS = {1: "<f4", 10: "<f2", 11: "<f8"}  # types of tensors with floating-point values

Content = bytes | mmap.mmap


def checksum_of_content(content: Content) -> str:
    """Returns the checksum that belongs in a model file, in hex digits.

    Raises:
        ValueError: the content is not an ONNX file, or is cut off.
    """
    digest = hashlib.sha256()
    with memoryview(content) as view:
        for field in read_fields(view):
            is_entry = field.number == METADATA_PROPS and field.wire_type == BYTES
            if not is_entry or _key(view, field) == SPEC_KEY.encode():
                digest.update(view[field.start : field.end])
    return digest.hexdigest()


def write_checksum(path: str | os.PathLike[str]) -> None:
    """Appends the checksum to a model file that is complete but for it."""
    content = Path(path).read_bytes()
    entry = bytes_field(KEY, CHECKSUM_KEY.encode()) + bytes_field(VALUE, checksum_of_content(content).encode())
    with Path(path).open("ab") as file:
        file.write(bytes_field(METADATA_PROPS, entry))


def tensors_with_broken_values(content: Content) -> list[str]:
    """Returns the names of the tensors of a model file that hold NaN, or infinite values beside others.

    A single infinite value may be a bound, as of a clamp.

    Raises:
        ValueError: the content is not an ONNX file, or is cut off.
    """
    return [
        name
        for name, values in _float_tensors(content)
        if np.isnan(values).any() or (values.size > 1 and np.isinf(values).any())
    ]


def _float_tensors(content: Content) -> Iterator[tuple[str, np.ndarray]]:
    for graph in (field for field in read_fields(content) if field.number == GRAPH and field.wire_type == BYTES):
        body = content[graph.body : graph.end]
        for initializer in read_fields(body):
            if initializer.number == _INITIALIZER and initializer.wire_type == BYTES:
                yield from _values(body[initializer.body : initializer.end])


def _values(tensor: bytes) -> Iterator[tuple[str, np.ndarray]]:
    parts = {field.number: field for field in read_fields(tensor)}
    dtype = _FLOATS.get(parts[_TYPE].value) if _TYPE in parts else None
    name = tensor[parts[_NAME].body : parts[_NAME].end].decode(errors="replace") if _NAME in parts else ""
    for number, stored in ((_RAW_DATA, dtype), (_FLOAT_DATA, "<f4")):
        if number in parts and parts[number].wire_type == BYTES and stored is not None:
            data = tensor[parts[number].body : parts[number].end]
            yield name, np.frombuffer(data, stored, len(data) // np.dtype(stored).itemsize)


def _key(view: memoryview, entry: Field) -> bytes:
    """Returns the key of a metadata entry."""
    with view[entry.body : entry.end] as body:
        return b"".join(bytes(body[part.body : part.end]) for part in read_fields(body) if part.number == KEY)

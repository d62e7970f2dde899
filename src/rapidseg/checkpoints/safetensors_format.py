"""safetensors: the length of a JSON header, 8 bytes, the header, and the bytes of the tensors.

Described in the README of https://github.com/huggingface/safetensors. The library itself returns bfloat16 only for
PyTorch, and checks less: a header here may neither repeat a name nor describe bytes outside of the file.
"""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np

from rapidseg.checkpoints.stored_tensor import DTYPES, Storage, StoredTensor, UnreadableError

MAX_HEADER_BYTES = 100_000_000  # as the library
_DTYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "C64": "complex64",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U64": "uint64",
    "U32": "uint32",
    "U16": "uint16",
    "U8": "uint8",
    "BOOL": "bool",
}


def is_safetensors(start: bytes) -> bool:
    """Returns whether a file that begins with these bytes is a safetensors file."""
    return start[8:9] == b"{" and int.from_bytes(start[:8], "little") < MAX_HEADER_BYTES


def read_safetensors(data: np.ndarray) -> tuple[dict[str, StoredTensor], dict[str, str]]:
    """Returns the tensors of a file and its metadata.

    Args:
        data: its bytes, (N,) uint8, mapped.

    Raises:
        UnreadableError: it is damaged, cut off, or has a type that is not known here.
    """
    length = int.from_bytes(data[:8].tobytes(), "little")
    if len(data) < 8 or length > min(len(data) - 8, MAX_HEADER_BYTES):
        raise UnreadableError("it ends too early")
    try:
        header = json.loads(data[8 : 8 + length].tobytes(), object_pairs_hook=_without_repetition)
    except (ValueError, RecursionError) as error:
        raise UnreadableError("its header is not valid JSON") from error
    if not isinstance(header, dict):
        raise UnreadableError("its header is not a JSON object")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise UnreadableError("its metadata is not text")
    body = data[8 + length :]
    return {name: _tensor(name, entry, body) for name, entry in header.items()}, metadata


def _tensor(name: str, entry: Any, body: np.ndarray) -> StoredTensor:
    if not isinstance(entry, dict):
        raise UnreadableError(f"tensor {name!r:.80} is not described")
    dtype, shape, offsets = entry.get("dtype"), _sizes(entry.get("shape")), _sizes(entry.get("data_offsets"))
    if not isinstance(dtype, str) or dtype not in _DTYPES:
        raise UnreadableError(f"tensor {name!r:.80} has the type {dtype!r:.40}; known are {', '.join(_DTYPES)}")
    if shape is None or offsets is None or len(offsets) != 2:
        raise UnreadableError(f"tensor {name!r:.80} has no shape or place")
    start, end = offsets
    if math.prod(shape) * DTYPES[_DTYPES[dtype]].itemsize != end - start or end > len(body):
        raise UnreadableError(f"tensor {name!r:.80} does not fit its place in the file")
    storage = Storage(name, _DTYPES[dtype], end - start, data=body[start:end])
    strides = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
    return StoredTensor.make(storage, _DTYPES[dtype], shape, strides, 0)


def _sizes(values: Any) -> list[int] | None:
    """Returns a list of sizes, or None for anything else."""
    return values if isinstance(values, list) and all(type(value) is int and value >= 0 for value in values) else None


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ValueError("a name occurs twice")
    return values

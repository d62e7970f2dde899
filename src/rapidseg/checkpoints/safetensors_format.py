"""safetensors: the length of a JSON header, 8 bytes, the header, and the bytes of the tensors.

Described in the README of https://github.com/huggingface/safetensors. The library itself returns bfloat16 only for
PyTorch. As there, the tensors' bytes must follow one another without gaps or overlaps; in addition, a header may not
repeat a name.
"""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np

from rapidseg.checkpoints.limits import MAX_AXES, MAX_VALUES, is_name
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
    if length > MAX_HEADER_BYTES:
        raise UnreadableError("it does not begin with the length of a header")
    if length > len(data) - 8:
        raise UnreadableError("it ends too early")
    text = data[8 : 8 + length].tobytes()
    if sum(map(text.count, (b"{", b"[", b","))) > MAX_VALUES:
        raise UnreadableError(f"its header holds more than {MAX_VALUES} values")
    try:
        header = json.loads(text.decode("utf-8"), object_pairs_hook=_without_repetition)
    except (ValueError, RecursionError) as error:
        raise UnreadableError("its header is not valid JSON") from error
    if not isinstance(header, dict):
        raise UnreadableError("its header is not a JSON object")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise UnreadableError("its metadata is not text")
    body = data[8 + length :]
    places: list[tuple[int, int]] = []
    tensors = {name: _tensor(name, entry, body, places) for name, entry in header.items()}
    end = 0
    for start, next_end in sorted(places):
        if start != end:
            raise UnreadableError(f"its tensors {'overlap' if start < end else 'leave a gap'} at byte {start}")
        end = next_end
    if end != len(body):
        raise UnreadableError(f"its tensors take {end} bytes, but it has {len(body)}")
    return tensors, metadata


def _tensor(name: str, entry: Any, body: np.ndarray, places: list[tuple[int, int]]) -> StoredTensor:
    """Returns a tensor, and adds its first byte and the byte behind its last to `places`."""
    if not is_name(name):
        raise UnreadableError(f"the name {name!r:.80} is too long or not printable")
    if not isinstance(entry, dict):
        raise UnreadableError(f"tensor {name!r:.80} is not described")
    dtype, shape, offsets = entry.get("dtype"), _sizes(entry.get("shape")), _sizes(entry.get("data_offsets"))
    if not isinstance(dtype, str) or dtype not in _DTYPES:
        given = repr(dtype[:40]) if isinstance(dtype, str) else "that is not text"
        raise UnreadableError(f"tensor {name!r:.80} has a type {given}; known are {', '.join(_DTYPES)}")
    if shape is None or offsets is None or len(offsets) != 2:
        raise UnreadableError(f"tensor {name!r:.80} has no shape or place")
    if len(shape) > MAX_AXES:
        raise UnreadableError(f"tensor {name!r:.80} has {len(shape)} axes; {MAX_AXES} are possible")
    start, end = offsets
    if end > len(body) or math.prod(shape) * DTYPES[_DTYPES[dtype]].itemsize != end - start:
        raise UnreadableError(f"tensor {name!r:.80} does not fit its place in the file")
    places.append((start, end))
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

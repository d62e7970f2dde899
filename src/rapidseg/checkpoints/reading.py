"""`read_checkpoint`: the content of a file of weights, whatever its format."""

from __future__ import annotations

import mmap
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rapidseg.checkpoints.legacy_format import read_legacy
from rapidseg.checkpoints.limits import allowed_bytes
from rapidseg.checkpoints.other_kinds import OtherKindError, explain_numpy_pickle, explain_text, reject_other_kind
from rapidseg.checkpoints.pickled_values import OpaqueValue
from rapidseg.checkpoints.safetensors_format import is_safetensors, read_safetensors
from rapidseg.checkpoints.stored_tensor import StoredTensor, UnreadableError
from rapidseg.checkpoints.zip_format import is_zip, read_zip
from rapidseg.core.errors import ModelFileError
from rapidseg.core.files import file_in_folder

_STOP = b"."  # ends every pickle, those of text too
_CODE = (
    "reading it needs {name}, which is code, not a tensor; rapidseg never runs code from a file. "
    "If you trust it, load it where it was made and save only the weights: torch.save(model.state_dict(), ...)"
)


@dataclass(frozen=True)
class Checkpoint:
    """What a file of weights contains.

    Attributes:
        path: the file.
        content: usually a dictionary; its tensors are `StoredTensor`s, and what would need code is an `OpaqueValue`.
        metadata: of a safetensors file; empty for others.
        opaque: names of the classes and functions that were not run.
    """

    path: Path
    content: Any
    metadata: Mapping[str, str]
    opaque: tuple[str, ...]


def read_checkpoint(path: Path) -> Checkpoint:
    """Reads a PyTorch checkpoint or a safetensors file, recognized by its content rather than its name.

    Raises:
        ModelFileError: the file is missing, damaged, cut off, of another kind, or nothing but code.
    """
    data = _map(path)
    start = data[:512].tobytes()
    is_archive, is_safe = is_zip(start), is_safetensors(start)
    is_safe = is_safe or (path.suffix == ".safetensors" and not is_archive)
    opaque: tuple[str, ...] = ()
    metadata: Mapping[str, str] = {}
    content: Any
    try:
        if not is_archive and not is_safetensors(start):
            reject_other_kind(path.name, start, data[-8:].tobytes())
        if is_safe:
            content, metadata = read_safetensors(data)
        else:
            content, unpickler = read_zip(path, data) if is_archive else read_legacy(data)
            opaque = tuple(unpickler.opaque)
        _check_expansion(content, len(data))
    except OtherKindError as error:
        raise ModelFileError(f"{path} {error}") from error
    except Exception as error:  # hostile bytes may yet find a way to raise something else
        raise ModelFileError(_explain(path, is_safe, start, error)) from error
    if isinstance(content, OpaqueValue) and (advice := explain_numpy_pickle(opaque)):
        raise ModelFileError(f"{path}: {advice}")
    if isinstance(content, OpaqueValue):
        raise ModelFileError(f"{path}: {_CODE.format(name=content.name)}")
    return Checkpoint(path, content, metadata, opaque)


def _map(path: Path) -> np.ndarray:
    """Returns the bytes of a file, (N,) uint8, which are read from disk when they are used."""
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise ModelFileError(f"{path} is a folder; {file_in_folder(path, ('.safetensors', '.pth', '.pt'))}")
        if path.suffix == ".onnx":
            raise ModelFileError(f"{path} is an exported file; pass the checkpoint that it was made from")
        if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for a writer
            raise ModelFileError(f"{path} is a pipe or a device; save the checkpoint to disk and pass that file")
        if not status.st_size:
            raise ModelFileError(f"{path}: the file is empty; download or copy it again")
        with path.open("rb") as file:
            return np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)
    except FileNotFoundError as error:
        raise ModelFileError(f"{path}: no such file; pass a checkpoint (.pth, .pt or .safetensors)") from error
    except (OSError, ValueError) as error:  # ValueError: a path with a null byte, or a file that was just emptied
        raise ModelFileError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error


def _explain(path: Path, is_safe: bool, start: bytes, error: Exception) -> str:
    reason = str(error) if isinstance(error, UnreadableError) else "damaged, or another kind of file"
    kind = "safetensors file" if is_safe else "PyTorch checkpoint"
    text = None if start.endswith(_STOP) else explain_text(start)
    if text is not None:
        return f"{path} is not a readable {kind}: {text}"
    return f"{path} is not a readable {kind} ({reason}); if it is incomplete, download or copy it again"


def _check_expansion(content: Any, file_bytes: int) -> None:
    total = sum(tensor.num_bytes for tensor in _tensors(content))
    if total > allowed_bytes(file_bytes):
        raise UnreadableError(f"its tensors would take {total} bytes, the file has {file_bytes}")


def _tensors(content: Any) -> Iterator[StoredTensor]:
    """Yields the tensors of each container, also of content that holds itself; a tensor with two names twice."""
    seen: set[int] = set()
    waiting = [content]
    while waiting:
        value = waiting.pop()
        if isinstance(value, StoredTensor):
            yield value
        elif isinstance(value, (dict, list, tuple)) and id(value) not in seen:
            seen.add(id(value))
            waiting.extend(value.values() if isinstance(value, dict) else value)

"""`read_checkpoint`: the content of a file of weights, whatever its format."""

from __future__ import annotations

import mmap
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rapidseg.checkpoints.legacy_format import read_legacy
from rapidseg.checkpoints.safetensors_format import is_safetensors, read_safetensors
from rapidseg.checkpoints.stored_tensor import StoredTensor, UnreadableError
from rapidseg.checkpoints.unpickler import OpaqueValue, Unpickler
from rapidseg.checkpoints.zip_format import PICKLE, read_zip
from rapidseg.core.errors import ModelFileError
from rapidseg.core.files import file_in_folder

_MAX_EXPANSION = 16  # bytes of all tensors per byte of the file: views may share and repeat bytes, within reason

# What people pass by mistake for a checkpoint, recognized by its first bytes.
_MISTAKEN = (
    (b"<", "is a web page or XML, so the download failed; download the file itself"),
    (b"version https://git-lfs", "is a Git LFS pointer, not the file; fetch it with `git lfs pull`"),
    (b"\xff\xd8\xff", "is a JPEG image, not a checkpoint; pass a checkpoint (.pth, .pt or .safetensors)"),
    (b"\x89PNG", "is a PNG image, not a checkpoint; pass a checkpoint (.pth, .pt or .safetensors)"),
    (b"\x1f\x8b", "is a gzip archive; unpack it and pass the checkpoint in it"),
    (b"\x93NUMPY", "is an array of NumPy, without names; save the weights of a network as safetensors"),
    (b"\x89HDF", "is an HDF5 file, as Keras writes them; RapidSeg reads weights of PyTorch and safetensors"),
)

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
    if path.is_dir():
        raise ModelFileError(f"{path} is a folder; {file_in_folder(path, ('.safetensors', '.pth', '.pt'))}")
    if path.suffix == ".onnx":
        raise ModelFileError(f"{path} is an exported file; pass the checkpoint that it was made from")
    try:
        with path.open("rb") as file:
            data = np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)
    except FileNotFoundError as error:
        raise ModelFileError(f"{path}: no such file; pass a checkpoint (.pth, .pt or .safetensors)") from error
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ModelFileError(f"{path}: the file is empty; download or copy it again") from error
    return _read(path, data)


def _read(path: Path, data: np.ndarray) -> Checkpoint:
    start = data[:64].tobytes()
    opaque: tuple[str, ...] = ()
    metadata: Mapping[str, str] = {}
    content: Any
    try:
        if path.suffix == ".safetensors" or is_safetensors(start):
            kind = "safetensors file"
            content, metadata = read_safetensors(data)
        else:
            kind = "PyTorch checkpoint"
            for beginning, explanation in _MISTAKEN:
                if start.lstrip().startswith(beginning):
                    raise ModelFileError(f"{path}: {explanation}")
            content, unpickler = _read_pickles(path, data)
            opaque = tuple(unpickler.opaque)
        _check_expansion(content, len(data))
    except (UnreadableError, zipfile.BadZipFile) as error:
        raise ModelFileError(_explain(path, kind, str(error))) from error
    except ModelFileError:
        raise
    except Exception as error:  # damaged bytes can raise anything in zipfile, struct and the decoders of texts
        raise ModelFileError(_explain(path, kind, "damaged, or another kind of file")) from error
    if isinstance(content, OpaqueValue):
        raise ModelFileError(f"{path}: {_CODE.format(name=content.name)}")
    return Checkpoint(path, content, metadata, opaque)


def _explain(path: Path, kind: str, reason: str) -> str:
    return f"{path} is not a readable {kind} ({reason}); if it is incomplete, download or copy it again"


def _read_pickles(path: Path, data: np.ndarray) -> tuple[Any, Unpickler]:
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if not any(name.endswith(PICKLE) for name in archive.namelist()):
                raise ModelFileError(
                    f"{path} is a zip archive, not a checkpoint; unpack it and pass the checkpoint in it"
                )
        return read_zip(path, data)
    return read_legacy(data)


def _check_expansion(content: Any, file_bytes: int) -> None:
    total = sum(tensor.num_bytes for tensor in _tensors(content))
    if total > file_bytes * _MAX_EXPANSION:
        raise UnreadableError(f"its tensors would take {total} bytes, the file has {file_bytes}")


def _tensors(content: Any) -> Iterator[StoredTensor]:
    """Yields every tensor once, also of content that holds itself."""
    seen: set[int] = set()
    waiting = [content]
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        if isinstance(value, StoredTensor):
            seen.add(id(value))
            yield value
        elif isinstance(value, dict):
            seen.add(id(value))
            waiting.extend(value.values())
        elif isinstance(value, (list, tuple)):
            seen.add(id(value))
            waiting.extend(value)

"""Reads files of weights without running any code from them.

PyTorch's `weights_only` reader makes tensors and plain Python values, and rejects every other class and function that a
pickle names. Training scripts also store NumPy numbers and logs, which have nothing to do with the weights: wuhuikai's
store the best score, OpenMMLab's the history of the losses. For those few names we substitute an empty placeholder; the
file's data for them never reaches the library that they belong to.
"""

from __future__ import annotations

import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import torch

from rapidseg.core.encoder_spec import ENCODER_KEY, EncoderSpec
from rapidseg.core.errors import ModelFileError
from rapidseg.core.files import file_in_folder
from rapidseg.core.quiet import quiet_libraries
from rapidseg.core.spec import SPEC_KEY
from rapidseg.models.weights_file import explain_encoder, read_weights


class _Unread:
    """Placeholder for a value that is not read."""

    def __new__(cls, *args: Any) -> _Unread:
        return super().__new__(cls)

    def __init__(self, *args: Any) -> None: ...

    def __setstate__(self, state: Any) -> None: ...


_UNREAD = (
    "numpy.dtype",
    "numpy.ndarray",
    "numpy.core.multiarray.scalar",
    "numpy._core.multiarray.scalar",
    "numpy.core.multiarray._reconstruct",
    "numpy._core.multiarray._reconstruct",
    "mmengine.logging.history_buffer.HistoryBuffer",
)

# What people pass by mistake for a checkpoint, recognized by its first bytes.
_MISTAKEN = (
    (b"<", "is a web page or XML, so the download failed; download the file itself"),
    (b"version https://git-lfs", "is a Git LFS pointer, not the file; fetch it with `git lfs pull`"),
    (b"\xff\xd8\xff", "is a JPEG image, not a checkpoint; pass a checkpoint (.pth, .pt or .safetensors)"),
    (b"\x89PNG", "is a PNG image, not a checkpoint; pass a checkpoint (.pth, .pt or .safetensors)"),
    (b"\x1f\x8b", "is a gzip archive; unpack it and pass the checkpoint in it"),
)


def read_content(path: Path) -> tuple[Any, bool]:
    """Reads a PyTorch checkpoint or a safetensors file, recognized by its content rather than its name.

    Returns:
        The content, usually a dictionary with tensors on the CPU, and whether this project wrote the file.

    Raises:
        ModelFileError: the file is missing, truncated, of another kind (an encoder, for example), or cannot be read
            without running code.
    """
    if path.is_dir():
        raise ModelFileError(f"{path} is a folder; {file_in_folder(path, ('.safetensors', '.pth', '.pt'))}")
    if path.suffix == ".onnx":
        raise ModelFileError(f"{path} is an exported file; pass the checkpoint that it was made from")
    try:
        with path.open("rb") as file:
            start = file.read(64)
    except FileNotFoundError as error:
        raise ModelFileError(f"{path}: no such file; pass a checkpoint (.pth, .pt or .safetensors)") from error
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read: {error.strerror}") from error
    for beginning, explanation in _MISTAKEN:
        if start.lstrip().startswith(beginning):
            raise ModelFileError(f"{path}: {explanation}")
    if _is_other_archive(path):
        raise ModelFileError(f"{path} is a zip archive, not a checkpoint; unpack it and pass the checkpoint in it")
    if path.suffix == ".safetensors" or _is_safetensors(start):
        return _read_safetensors(path)
    return _read_pickle(path), False


def _is_safetensors(start: bytes) -> bool:
    """A safetensors file begins with the length of its header, 8 bytes, then the header, which is JSON."""
    return start[8:9] == b"{" and int.from_bytes(start[:8], "little") < 100_000_000


def _is_other_archive(path: Path) -> bool:
    """Tells a zip archive from a checkpoint of today's format, which is a zip archive with a `data.pkl`."""
    try:
        with zipfile.ZipFile(path) as archive:
            return not any(name.endswith("data.pkl") for name in archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError):  # of another format, or damaged
        return False


def _read_safetensors(path: Path) -> tuple[dict[str, Any], bool]:
    metadata, state = read_weights(path)
    if ENCODER_KEY in metadata:
        raise ModelFileError(explain_encoder(path, EncoderSpec.from_json(metadata[ENCODER_KEY], where=str(path))))
    return state, SPEC_KEY in metadata


def _read_pickle(path: Path) -> Any:
    placeholders: list[Any] = [(_Unread, name) for name in _UNREAD]
    try:
        # PyTorch warns of old pickles; a file that cannot be read is an error anyway.
        with quiet_libraries(loggers=()), torch.serialization.safe_globals(placeholders):
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged bytes can raise anything
        raise ModelFileError(f"{path}: {_explain(error)}") from error


def _explain(error: Exception) -> str:
    """Explains why a checkpoint was not read, without PyTorch's advice to read it in a way that runs its code."""
    text = str(error)
    needed = re.search(r"GLOBAL ([\w.]*\w) ", text)
    if needed is not None:
        return (
            f"reading it needs {needed[1]}, which is code, not a tensor; rapidseg never runs code from a file. "
            "If you trust it, load it where it was made and save only the weights: torch.save(model.state_dict(), ...)"
        )
    if isinstance(error, pickle.UnpicklingError):
        failure = re.search(r"WeightsUnpickler error:\s*(.+?)(?: was not|\n|$)", text)
        return (
            f"cannot be read as tensors alone ({failure[1] if failure else 'it is not a pickle'}); it is damaged, or "
            "reading it would run its code, which rapidseg never does. Get it again, or save only the weights where it "
            "was made: torch.save(model.state_dict(), ...)"
        )
    reason = "damaged, or another kind of file"
    if isinstance(error, RuntimeError) and text:
        reason = re.split(r"\. |\n", re.sub(r"\[enforce fail .*?\] \. ", "", text))[0]
    return f"is not a readable PyTorch checkpoint ({reason}); if it is incomplete, download or copy it again"

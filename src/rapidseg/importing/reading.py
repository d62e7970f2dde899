"""What a file of weights holds, read without running any code from it.

PyTorch's `weights_only` reader makes tensors and plain Python values, and refuses every other class and function that a
pickle names. Training scripts also store NumPy numbers and logs, which have nothing to do with the weights: wuhuikai's
the best score, OpenMMLab's the history of the losses. For those few names an empty stand-in of ours is put in; what the
file says about them is never passed to the library that it belongs to.
"""

from __future__ import annotations

import pickle
import re
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from rapidseg.core.errors import ModelFileError
from rapidseg.core.spec import SPEC_KEY


class _Unread:
    """Stands where a file has a value that is not read."""

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

# What people have in place of a checkpoint, told by its first bytes.
_MISTAKEN = (
    (b"<", "is a web page or XML, so the download went wrong; get the file itself"),
    (b"version https://git-lfs", "is a pointer of Git LFS and not the file; get it with `git lfs pull`"),
    (b"\x1f\x8b", "is a gzip archive; unpack it and give the checkpoint in it"),
)


def read_content(path: Path) -> tuple[Any, bool]:
    """Reads a PyTorch checkpoint or a safetensors file, which is told by its content and not by its name.

    Returns:
        What the file holds, usually a dictionary with tensors on the CPU, and whether it is a file of this project.

    Raises:
        ModelFileError: the file is missing, cut short, of another kind, or needs code to be read.
    """
    if path.is_dir():
        raise ModelFileError(f"{path}: is a folder; give the checkpoint in it (.pth, .pt or .safetensors)")
    if path.suffix == ".onnx":
        raise ModelFileError(f"{path}: is an exported file; give the checkpoint that it was made from")
    try:
        with path.open("rb") as file:
            start = file.read(64)
    except FileNotFoundError as error:
        raise ModelFileError(f"{path}: no such file; give a checkpoint (.pth, .pt or .safetensors)") from error
    except OSError as error:
        raise ModelFileError(f"{path}: cannot be read: {error.strerror}") from error
    for beginning, what in _MISTAKEN:
        if start.lstrip().startswith(beginning):
            raise ModelFileError(f"{path}: {what}")
    if _is_other_archive(path):
        raise ModelFileError(f"{path}: is a zip archive and no checkpoint; unpack it and give the checkpoint in it")
    if path.suffix == ".safetensors" or _is_safetensors(start):
        return _read_safetensors(path)
    return _read_pickle(path), False


def _is_safetensors(start: bytes) -> bool:
    """Such a file begins with the length of its header, 8 bytes, and the header, which is JSON."""
    return start[8:9] == b"{" and int.from_bytes(start[:8], "little") < 100_000_000


def _is_other_archive(path: Path) -> bool:
    """Today's checkpoints are zip archives themselves, with the pickle in `data.pkl`."""
    try:
        with zipfile.ZipFile(path) as archive:
            return not any(name.endswith("data.pkl") for name in archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError):  # of another format, or damaged
        return False


def _read_safetensors(path: Path) -> tuple[dict[str, Any], bool]:
    try:
        with safe_open(path, framework="pt") as file:
            own = SPEC_KEY in (file.metadata() or {})
            return {name: file.get_tensor(name) for name in file.keys()}, own  # noqa: SIM118, it is no mapping
    except (SafetensorError, OSError) as error:
        raise ModelFileError(
            f"{path}: not a readable safetensors file ({error}); is it complete? get it again"
        ) from error


def _read_pickle(path: Path) -> Any:
    stand_ins: list[Any] = [(_Unread, name) for name in _UNREAD]
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals(stand_ins):
            warnings.simplefilter("ignore")  # about old pickles; what cannot be read is an error all the same
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged bytes make the reader fail in every possible way
        raise ModelFileError(f"{path}: {_explain(error)}") from error


def _explain(error: Exception) -> str:
    """Returns why a checkpoint was not read, without PyTorch's advice to read it in a way that runs its code."""
    text = str(error)
    wanted = re.search(r"GLOBAL ([\w.]*\w) ", text)
    if wanted is not None:
        return (
            f"to be read it would need {wanted[1]}, which is code and no tensor; rapidseg never runs code from a file. "
            "If you trust it, load it where it was made and save the weights alone: torch.save(model.state_dict(), ...)"
        )
    if isinstance(error, pickle.UnpicklingError):
        failure = re.search(r"WeightsUnpickler error:\s*(.+?)(?: was not|\n|$)", text)
        return (
            f"cannot be read as tensors alone ({failure[1] if failure else 'it is no pickle'}); it is damaged, or it "
            "would run code of its own, which rapidseg never does. Get it again, or save the weights alone where it "
            "was made: torch.save(model.state_dict(), ...)"
        )
    reason = "damaged, or of another kind"
    if isinstance(error, RuntimeError) and text:
        reason = re.split(r"\. |\n", re.sub(r"\[enforce fail .*?\] \. ", "", text))[0]
    return f"not a readable PyTorch checkpoint ({reason}); is it complete? get it again"

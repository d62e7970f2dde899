"""Model files that are made of checkpoints, once, and kept in the cache."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from rapidseg.core.errors import ModelFileError, RapidSegError
from rapidseg.core.progress import Progress, counter
from rapidseg.runtime.model_file import BUILT_IN_MODELS, CHECKPOINT_SUFFIXES
from rapidseg.system.cache import cache_folder, keep_newest
from rapidseg.zoo import published_models

PRETRAINED_WEIGHTS = "model.safetensors"  # the file in a folder of `SegmentationModel.save_pretrained`

_FORMAT = 1  # of the model files in the cache; others are made when it changes
_CHUNK_BYTES = 1 << 22


@dataclass(frozen=True)
class PreparedModel:
    """A checkpoint and the model file that was made of it.

    Attributes:
        checkpoint: the file of weights.
        model_file: None where its network has options for which no graph comes with the package.
    """

    checkpoint: Path
    model_file: Path | None


def is_checkpoint(source: str) -> bool:
    """Returns whether a text names a checkpoint: a file, a folder of `save_pretrained`, a URL or a published model."""
    path = Path(source)
    if source in BUILT_IN_MODELS:
        return False
    if path.is_dir():
        return (path / PRETRAINED_WEIGHTS).is_file()
    if path.exists():
        return path.suffix.lower() in CHECKPOINT_SUFFIXES
    return "://" in source or source in published_models() or path.suffix.lower() in CHECKPOINT_SUFFIXES


def prepare_model(source: str, *, download: bool, progress: Progress) -> PreparedModel:
    """Makes a model file of a checkpoint, unless the cache has it. PyTorch is not needed.

    Args:
        source: a checkpoint, for which `is_checkpoint` is true.
        download: whether a checkpoint that is not on disk may be downloaded.
        progress: watches the download; is told what was assumed, and the license of a published model.

    Raises:
        ModelFileError: the checkpoint does not exist, is not downloaded, or is not one of a known network.
        RapidSegError: it cannot be downloaded, or the model file cannot be written.
    """
    from rapidseg.importing import build_model_file, find_checkpoint, recognize_checkpoint

    path = Path(source)
    published = None if path.exists() else published_models().get(source)
    url = source if "://" in source else None if published is None else published.url
    if path.is_dir():
        path = path / PRETRAINED_WEIGHTS
    if url is not None:
        path = find_checkpoint(
            url,
            sha256=None if published is None else published.sha256_prefix,
            progress=counter(progress, f"downloading {source}", unit="bytes"),
            note=lambda text: progress.message(f"note: {text}"),
            offline=not download,
        )
        if path.suffix.lower() == ".onnx":  # already a model file, such as one on the Hugging Face Hub
            return PreparedModel(path, path)
    elif not path.exists():
        raise ModelFileError(f"{source}: no such file; pass a checkpoint, a model file (.onnx) or the name of a model")
    folder = cache_folder("models")
    if folder is None:
        raise RapidSegError(
            "the cache folder for models is not writable; set RAPIDSEG_CACHE to a folder that is, or create a model "
            f"file: rapidseg export {source}"
        )
    stem = source if published is not None else re.sub(r"[^A-Za-z0-9._-]", "_", path.stem)
    model_file = folder / f"{stem[:80]}-{_digest(path)}.onnx"
    if model_file.exists():
        os.utime(model_file)  # the newest are kept
        return PreparedModel(path, model_file)
    found = recognize_checkpoint(path, note=lambda text: progress.message(f"note: {text}"))
    if build_model_file(found, model_file) is None:
        return PreparedModel(path, None)
    keep_newest(folder)
    return PreparedModel(path, model_file)


def _digest(path: Path) -> str:
    """Returns 16 digits that identify a checkpoint's content and what this version makes of it."""
    from rapidseg.importing.template import ARCHIVE

    digest = hashlib.sha256(f"{_FORMAT}".encode())
    for file in (ARCHIVE, path):
        with file.open("rb") as content:
            while chunk := content.read(_CHUNK_BYTES):
                digest.update(chunk)
    return digest.hexdigest()[:16]

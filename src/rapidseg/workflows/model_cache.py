"""Model files that are made of checkpoints, once, and kept in the cache."""

from __future__ import annotations

import contextlib
import filecmp
import hashlib
import os
import re
import shutil
import stat
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from filelock import FileLock, Timeout

from rapidseg.core.errors import ModelFileError, RapidSegError
from rapidseg.core.files import atomic_path, write_text
from rapidseg.core.progress import Progress, counter
from rapidseg.core.report import Report
from rapidseg.core.wording import count_of
from rapidseg.runtime.model_file import BUILT_IN_MODELS, CHECKPOINT_SUFFIXES, read_spec
from rapidseg.runtime.tuned_file import file_sha256
from rapidseg.system.cache import cache_folder, cache_root, keep_newest
from rapidseg.workflows.arguments import FLAG, checked
from rapidseg.zoo import published_models

if TYPE_CHECKING:
    from rapidseg.core.spec import ModelSpec
    from rapidseg.importing import RecognizedCheckpoint

PRETRAINED_WEIGHTS = "model.safetensors"  # the file in a folder of `SegmentationModel.save_pretrained`

_FORMAT = 2  # of the model files in the cache; others are made when it changes
_CHUNK_BYTES = 1 << 22
_Kind = Literal["download", "partial download", "model file"]
_DOWNLOADS = "downloads"
_KINDS: Mapping[str, _Kind] = {_DOWNLOADS: "download", "models": "model file"}
_CHECKSUMS = "checksums"  # folder of the checksums of model files
_LOCK, _PARTIAL = ".lock", ".partial"  # of downloads
_HELPERS = (_LOCK, ".json")


@dataclass(frozen=True)
class PreparedModel:
    """A checkpoint and the model file that was made of it.

    Attributes:
        checkpoint: the file of weights.
        model_file: None where its network has options for which no graph comes with the package.
        content: the checkpoint in memory, where no model file could be made of it.
    """

    checkpoint: Path
    model_file: Path | None
    content: RecognizedCheckpoint | None = None


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
        progress: watches the download; is told what was assumed or skipped, and the license of the weights.

    Raises:
        ModelFileError: the checkpoint does not exist, is not downloaded, or is not one of a known network.
        RapidSegError: it cannot be downloaded, or the model file cannot be written.
    """
    from rapidseg.evaluation.precision_agreement import measure_bf16
    from rapidseg.importing import build_model_file, find_checkpoint, find_published, license_note, recognize_checkpoint

    def note(text: str) -> None:
        progress.message(f"note: {text}")

    def state_license(name: str, spec: ModelSpec) -> None:
        if spec.license is not None:
            note(license_note(name, spec.license))

    path = Path(source)
    published = find_published(source)
    url = source if "://" in source else None if published is None else published.url
    if path.is_dir():
        path = path / PRETRAINED_WEIGHTS
    if url is not None:
        path = find_checkpoint(
            url,
            sha256=None if published is None or url != published.url else published.sha256_prefix,
            progress=counter(progress, f"downloading {source}", unit="bytes"),
            note=note,
            offline=not download,
        )
        if path.suffix.lower() == ".onnx":  # already a model file, such as one on the Hugging Face Hub
            state_license(source, read_spec(path))
            return PreparedModel(path, path)
    elif not path.exists():
        raise ModelFileError(f"{source}: no such file; pass a checkpoint, a model file (.onnx) or the name of a model")
    folder = cache_folder("models")
    if folder is None:
        raise RapidSegError(
            "the cache folder for models is not writable; set RAPIDSEG_CACHE to a folder that is, or create a model "
            f"file: rapidseg export {source}"
        )
    stem = published.name if published is not None else re.sub(r"[^A-Za-z0-9._-]", "_", path.stem)
    model_file = folder / f"{stem[:80]}-{_digest(path)}.onnx"
    checksum = folder.parent / _CHECKSUMS / f"{model_file.name}.sha256"
    if _is_as_built(model_file, checksum):
        for file in (model_file, checksum):
            os.utime(file)  # the newest are kept
        state_license(str(path) if published is None else published.name, read_spec(model_file))
        return PreparedModel(path, model_file)
    labels = None if published is None else published.dataset
    found = recognize_checkpoint(path, labels=labels, note=note, published=published)
    if build_model_file(found, model_file, measure=measure_bf16) is None:
        return PreparedModel(path, None, found)
    write_text(checksum, file_sha256(model_file))
    keep_newest(folder)
    return PreparedModel(path, model_file)


def _is_as_built(model_file: Path, checksum: Path) -> bool:
    """Returns whether a model file is in the cache, byte for byte as it was built."""
    try:
        return checksum.read_text(encoding="utf-8") == file_sha256(model_file)
    except (OSError, UnicodeDecodeError):
        return False


def link_model_files(models: Sequence[str], folder: Path, *, download: bool, progress: Progress) -> tuple[str, ...]:
    """Returns models as model files and built-in names, for jobs that open them in processes of their own.

    Args:
        models: what `rapidseg.load` takes, tuned files apart.
        folder: where checkpoints appear as model files, under their own names.
        download, progress: as for `prepare_model`.

    Raises:
        ModelFileError, RapidSegError: as `prepare_model`; or a checkpoint has options for which no graph comes with the
            package.
    """
    files = []
    for model in models:
        if not is_checkpoint(model):
            files.append(model)
            continue
        prepared = prepare_model(model, download=download, progress=progress)
        if prepared.model_file is None:
            from rapidseg.importing.model_building import explain_no_template

            assert prepared.content is not None, "a checkpoint without a model file is read into memory"
            raise ModelFileError(
                f"{model} has unusual options{explain_no_template(prepared.content)}; create a model file of it: "
                f"rapidseg export {model}"
            )
        name = model if model in published_models() else prepared.checkpoint.stem
        files.append(str(copy_model_file(prepared.model_file, folder / f"{name}.onnx")))
    return tuple(files)


def copy_model_file(source: Path, target: Path) -> Path:
    """Copies a model file; where another model has the name, the copy's name also has digits of its content.

    Returns:
        The copy.

    Raises:
        RapidSegError: it cannot be written.
    """
    if target.exists() and not filecmp.cmp(source, target, shallow=False):
        target = target.with_stem(f"{target.stem}-{file_sha256(source)[:16]}")
    with atomic_path(target) as temporary:
        shutil.copyfile(source, temporary)
    return target


@dataclass(frozen=True)
class CachedFile:
    """A file of the cache.

    Attributes:
        path: the file.
        kind: "download"; "partial download", which broke off or is running; or "model file", which is made again when
            it is needed.
        size_bytes: its size.
        last_used: when it was downloaded or last used.
    """

    path: Path
    kind: _Kind
    size_bytes: int
    last_used: datetime


@dataclass(frozen=True)
class ModelCache(Report):
    """Downloaded weights and the model files made of checkpoints.

    Attributes:
        folder: of the cache; None where the user has no home folder.
        files: newest first.
        freed_bytes: what was deleted.
        cleared: whether files were to be deleted.
        running_downloads: how many downloads were running then, whose files stay.
    """

    folder: Path | None
    files: tuple[CachedFile, ...]
    freed_bytes: int = 0
    cleared: bool = False
    running_downloads: int = 0

    def headline(self) -> str:
        size = sum(file.size_bytes for file in self.files)
        text = f"{count_of(self.files, 'file')}, {size / 1e6:.1f} MB, in {self.folder}"
        if not self.cleared:
            return text
        text += f"; {self.freed_bytes / 1e6:.1f} MB deleted"
        if self.running_downloads:
            text += f"; {count_of(self.running_downloads, 'running download')} not touched"
        return f"{text}. Compiled models and code are not deleted: `rapidseg doctor --clear-cache` does that"

    def to_dict(self) -> dict[str, Any]:
        """Returns everything for JSON."""
        return {
            "folder": None if self.folder is None else str(self.folder),
            "freed_bytes": self.freed_bytes,
            "running_downloads": self.running_downloads,
            "files": [
                {**asdict(file), "path": str(file.path), "last_used": file.last_used.isoformat()} for file in self.files
            ],
        }


@checked(clear=FLAG)
def model_cache(*, clear: bool = False) -> ModelCache:
    """Lists the cached downloads, also those that broke off, and model files.

    Args:
        clear: whether to delete all of them. The files of downloads that are running stay.
    """
    try:
        root = cache_root()
    except RuntimeError:
        return ModelCache(None, ())
    if not clear:
        return ModelCache(root, _cached_files(root))
    freed_bytes = running = 0
    for lock in (root / _DOWNLOADS).glob(f"*{_LOCK}"):
        download = lock.name.removesuffix(_LOCK)
        try:
            with FileLock(lock, timeout=0):
                freed_bytes += sum(_delete(path) for path in lock.parent.glob(f"{escape(download)}*"))
        except Timeout:
            running += 1
        except OSError:  # the folder cannot be written
            continue
    busy = [lock.name.removesuffix(_LOCK) for lock in (root / _DOWNLOADS).glob(f"*{_LOCK}")]
    for folder in (*_KINDS, _CHECKSUMS):
        for path in (root / folder).glob("*"):
            if folder != _DOWNLOADS or not path.name.startswith(tuple(busy)):
                freed_bytes += _delete(path)
    return ModelCache(root, _cached_files(root), freed_bytes, cleared=True, running_downloads=running)


def _cached_files(root: Path) -> tuple[CachedFile, ...]:
    """Returns the files of the cache, newest first, without those that only help downloads."""
    files = []
    for folder, kind in _KINDS.items():
        for path in (root / folder).glob("*"):
            if path.suffix in _HELPERS:
                continue
            with contextlib.suppress(FileNotFoundError):  # another process has just finished or deleted it
                facts = path.stat()
                if stat.S_ISREG(facts.st_mode):
                    used = datetime.fromtimestamp(facts.st_mtime).astimezone()
                    shown = "partial download" if path.suffix == _PARTIAL else kind
                    files.append(CachedFile(path, shown, facts.st_size, used))
    return tuple(sorted(files, key=lambda file: (-file.last_used.timestamp(), file.path)))


def _delete(path: Path) -> int:
    """Deletes a file and returns its bytes; 0 where it cannot be deleted, or another process did."""
    with contextlib.suppress(OSError):
        size = path.stat().st_size
        path.unlink()
        return size
    return 0


def _digest(path: Path) -> str:
    """Returns 16 digits that identify a checkpoint's content and what this version makes of it."""
    from rapidseg.importing.template import FOLDER

    digest = hashlib.sha256(f"{_FORMAT}".encode())
    for file in (*sorted(FOLDER.iterdir()), path):
        with file.open("rb") as content:
            while chunk := content.read(_CHUNK_BYTES):
                digest.update(chunk)
    return digest.hexdigest()[:16]

"""The cache folder: where compiled code, compiled models and downloads are kept for the next process."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

import platformdirs

COMPILED = ("numba", "openvino", "onnxruntime", "tensorrt")  # folders whose content is recreated when needed
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
MAX_BYTES = 1 << 30  # of a folder: about 200 sizes of Fast-SCNN, or four of a large ResNet


@dataclass(frozen=True)
class CacheFolder:
    """A folder of the cache.

    Attributes:
        name: what it holds, such as "openvino".
        files: the number of files in it.
        size_bytes: their size.
    """

    name: str
    files: int
    size_bytes: int


@dataclass(frozen=True)
class CacheSummary:
    """The cache.

    Attributes:
        folder: its path; None where the user has no home folder.
        writable: whether files can be written there.
        folders: the folders in it.
    """

    folder: Path | None
    writable: bool
    folders: tuple[CacheFolder, ...]


def cache_root() -> Path:
    """Returns the cache folder, which may not exist yet.

    It is `RAPIDSEG_CACHE` from the environment, else `rapidseg` in the user's own cache folder.

    Raises:
        RuntimeError: the user has no home folder.
    """
    chosen = os.environ.get("RAPIDSEG_CACHE")
    if chosen:
        return Path(chosen).expanduser().absolute()
    path = platformdirs.user_cache_path("rapidseg", appauthor=False)
    if path.parts[0] == "~":  # older releases of platformdirs return this instead of raising
        raise RuntimeError("the home folder of the user is unknown")
    return path.absolute()


def cache_folder(name: str) -> Path | None:
    """Returns the folder `name` in the cache, created and writable; None where it cannot be written.

    Compiled code runs with the rights of the user, so its folders belong to the user alone. Where several users share a
    cache folder, the first to come owns the folder `name`, and the others get one of their own, `name-UID`.
    """
    try:
        root = cache_root()
        if name not in COMPILED or not hasattr(os, "geteuid"):
            return _writable(root / name)
        for folder in (root / name, root / f"{name}-{os.geteuid()}"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if _make_private(folder):
                return _writable(folder)
    except (OSError, RuntimeError):
        pass
    return None


def is_private(status: os.stat_result) -> bool:
    """Returns whether a file or folder belongs to this user and nobody else may write to it.

    Where the system has no such owners, as on Windows, folders of a user are protected by the system itself.
    """
    return not hasattr(os, "geteuid") or (status.st_uid == os.geteuid() and not status.st_mode & _OTHERS_WRITE)


def _make_private(folder: Path) -> bool:
    """Takes the right to write to a folder from others; returns False where it belongs to another user."""
    status = folder.stat()
    if status.st_uid == os.geteuid() and status.st_mode & _OTHERS_WRITE:
        folder.chmod(stat.S_IMODE(status.st_mode) & ~_OTHERS_WRITE)
        status = folder.stat()  # some file systems, such as FAT, ignore it
    return is_private(status)


def _writable(folder: Path) -> Path:
    """Returns the folder, created if needed; raises `OSError` where it cannot be written."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        return folder


def keep_newest(folder: Path, max_bytes: int | None = None) -> None:
    """Deletes the files of a folder that were changed longest ago, until the others fit into a limit.

    The newest file stays, whatever its size.

    Args:
        folder: whose files to look at, not those in folders below it.
        max_bytes: the limit; None: `MAX_BYTES`, 1 GiB.
    """
    limit = MAX_BYTES if max_bytes is None else max_bytes
    with contextlib.suppress(OSError):  # another process may delete files at the same time
        files = sorted(
            (path for path in folder.iterdir() if path.is_file()), key=lambda file: file.stat().st_mtime, reverse=True
        )
        size_bytes = 0
        for file in files:
            size_bytes += file.stat().st_size
            if size_bytes > limit and file != files[0]:
                file.unlink()


def summarize_cache() -> CacheSummary:
    """Counts the files in the cache."""
    try:
        root = cache_root()
    except RuntimeError:
        return CacheSummary(None, False, ())
    writable = cache_folder("numba") is not None
    children = []
    with contextlib.suppress(OSError):  # the folder does not exist yet, or may not be read
        children = sorted(child for child in root.iterdir() if child.is_dir())
    return CacheSummary(root, writable, tuple(_summarize(child) for child in children))


def clear_compiled() -> int:
    """Deletes compiled code and compiled models; downloads stay.

    A process that starts at the same time may miss a file, and compiles it again.

    Returns:
        How many bytes were deleted.
    """
    summary = summarize_cache()
    freed_bytes = 0
    for folder in summary.folders:
        if summary.folder is not None and folder.name.partition("-")[0] in COMPILED:
            shutil.rmtree(summary.folder / folder.name, ignore_errors=True)
            freed_bytes += folder.size_bytes
    return freed_bytes


def _summarize(folder: Path) -> CacheFolder:
    sizes = []
    for path in folder.rglob("*"):
        try:
            if path.is_file():
                sizes.append(path.stat().st_size)
        except OSError:  # another process has just deleted it
            continue
    return CacheFolder(folder.name, len(sizes), sum(sizes))

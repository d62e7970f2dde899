"""What is kept on disk for the next process, and how to be rid of it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from rapidseg.system.cache import cache_folder, cache_root

COMPILED = ("numba", "openvino", "onnxruntime", "tensorrt")  # folders whose content comes back by itself


@dataclass(frozen=True)
class Cache:
    """A folder of the cache.

    Attributes:
        name: what it holds.
        files, size_bytes: how much.
    """

    name: str
    files: int
    size_bytes: int


@dataclass(frozen=True)
class Caches:
    """The cache folder.

    Attributes:
        folder: where it is; None where the user has no home folder.
        writable: whether anything can be kept there.
        held: its folders.
    """

    folder: Path | None
    writable: bool
    held: tuple[Cache, ...]


def find_caches() -> Caches:
    """Looks at what is kept."""
    try:
        folder = cache_root()
    except RuntimeError:
        return Caches(None, False, ())
    writable = cache_folder("numba") is not None
    children = sorted(child for child in folder.iterdir() if child.is_dir()) if folder.is_dir() else []
    return Caches(folder, writable, tuple(_held(child) for child in children))


def clear_caches() -> int:
    """Deletes what was compiled; downloaded files stay. Returns how many bytes that were.

    Another process that is starting may miss a file, and then compiles it again.
    """
    found = find_caches()
    freed = 0
    for cache in found.held:
        if found.folder is not None and cache.name in COMPILED:
            shutil.rmtree(found.folder / cache.name, ignore_errors=True)
            freed += cache.size_bytes
    return freed


def _held(folder: Path) -> Cache:
    sizes = []
    for path in folder.rglob("*"):
        try:
            if path.is_file():
                sizes.append(path.stat().st_size)
        except OSError:  # just deleted by another process
            continue
    return Cache(folder.name, len(sizes), sum(sizes))

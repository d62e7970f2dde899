"""The folder where compiled code and compiled models wait for the next process."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from pathlib import Path

_MAX_BYTES = 1 << 30  # of a folder: some 200 sizes of Fast-SCNN, or four of a large ResNet


def cache_folder(name: str) -> Path | None:
    """Returns an existing, writable folder `name` below the cache folder, or None where nothing can be written.

    The cache folder is `RAPIDSEG_CACHE` from the environment, else `rapidseg` in the user's own cache folder.
    """
    try:
        folder = cache_root() / name
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except (OSError, RuntimeError):  # RuntimeError: the user has no home folder
        return None


def keep_newest(folder: Path) -> None:
    """Deletes the files of a folder that were changed longest ago, until the others take no more than 1 GiB."""
    with contextlib.suppress(OSError):  # another process may clear up at the same time
        files = sorted(folder.iterdir(), key=lambda file: file.stat().st_mtime, reverse=True)
        size_bytes = 0
        for file in files:
            size_bytes += file.stat().st_size
            if size_bytes > _MAX_BYTES and file != files[0]:
                file.unlink()


def cache_root() -> Path:
    """Returns the cache folder, which need not exist.

    Raises:
        RuntimeError: the user has no home folder.
    """
    chosen = os.environ.get("RAPIDSEG_CACHE")
    if chosen:
        return Path(chosen).expanduser().absolute()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "rapidseg" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "rapidseg"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rapidseg"

"""Which image files a list of files, folders and globs stands for."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable
from pathlib import Path

from rapidseg.core.errors import InputError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")


def find_images(paths: Iterable[str | os.PathLike[str]]) -> list[Path]:
    """Returns the image files that `paths` stand for, each once, in the order of `paths`, sorted within each.

    A file is taken whatever its suffix. A folder stands for the image files directly in it, by suffix, hidden ones
    left out. Anything else is a glob; `**` reaches into subfolders.

    Raises:
        InputError: an entry matches no image file.
    """
    found: dict[Path, None] = {}
    for entry in paths:
        found.update(dict.fromkeys(_matches(os.fspath(entry))))
    return list(found)


def _matches(entry: str) -> list[Path]:
    path = Path(entry)
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if _is_image(file))
        if not files:
            raise InputError(
                f"{entry}: no image files directly in this folder ({', '.join(IMAGE_SUFFIXES)}); "
                f"for those in its subfolders give '{path / '**' / '*.png'}'"
            )
        return files
    if path.exists():  # before the glob: names may hold brackets
        return [path]
    if not glob.has_magic(entry):
        raise InputError(f"{entry}: no such file or folder")
    files = sorted(file for file in map(Path, glob.glob(entry, recursive=True)) if _is_image(file))
    if not files:
        raise InputError(f"{entry}: this pattern matches no image file ({', '.join(IMAGE_SUFFIXES)})")
    return files


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") and path.is_file()

"""Resolves files, folders and globs to image files."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable
from pathlib import Path

from rapidseg.core.errors import InputError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")


def find_images(paths: Iterable[str | os.PathLike[str]]) -> list[Path]:
    """Returns the image files that `paths` match, without duplicates, in the order of `paths`, each entry sorted.

    A file is accepted whatever its suffix. A folder matches the image files directly in it, by suffix; hidden files are
    skipped. Anything else is a glob; `**` matches subfolders.

    Raises:
        InputError: an entry matches no image file.
    """
    images: dict[Path, None] = {}
    for entry in paths:
        images.update(dict.fromkeys(_matches(os.fspath(entry))))
    return list(images)


def _matches(entry: str) -> list[Path]:
    if not entry.strip():
        raise InputError("the name of an image or folder is empty; pass . for the current folder")
    path = Path(entry)
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if _is_image(file))
        if not files:
            raise InputError(
                f"{entry}: no image files directly in this folder ({', '.join(IMAGE_SUFFIXES)}); "
                f"to search its subfolders, pass '{path / '**' / '*.png'}'"
            )
        return files
    if path.exists():  # before the glob: file names may contain brackets
        return [path]
    if not glob.has_magic(entry):
        raise InputError(f"{entry}: no such file or folder")
    files = sorted(file for file in map(Path, glob.glob(entry, recursive=True)) if _is_image(file))
    if not files:
        raise InputError(f"{entry}: this pattern matches no image file ({', '.join(IMAGE_SUFFIXES)})")
    return files


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") and path.is_file()

"""Arrays to image files, whole or not at all."""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from rapidseg.core.errors import InputError
from rapidseg.core.files import atomic_path

_OPTIONS: dict[str, dict[str, Any]] = {
    # Level 3 takes a third of the time of zlib's default 6, and photos grow by a tenth.
    ".png": {"format": "PNG", "compress_level": 3},
    ".jpg": {"format": "JPEG", "quality": 92, "subsampling": 0},
    ".jpeg": {"format": "JPEG", "quality": 92, "subsampling": 0},
}


# Class maps are runs of equal bytes. Looking for runs alone takes as long and gives smaller files than level 3.
_CLASS_MAP_OPTIONS = {"format": "PNG", "compress_level": 1, "compress_type": zlib.Z_RLE}


def write_class_map(path: str | os.PathLike[str], class_map: np.ndarray, palette: np.ndarray) -> None:
    """Writes a class map as a palette PNG: pixel values are class ids, viewers show the colours.

    Args:
        class_map: (H, W) uint8.
        palette: (K, 3) uint8 RGB, K up to 256; further ids are black.

    Raises:
        RapidSegError: the file cannot be written.
    """
    # All 256 entries, because Pillow packs pixels of shorter palettes into fewer bits, which some readers stretch.
    table = np.zeros((256, 3), np.uint8)
    table[: len(palette)] = palette
    image = Image.fromarray(np.ascontiguousarray(class_map))
    image.putpalette(table.tobytes())
    _write(Path(path), image, _CLASS_MAP_OPTIONS)


def write_image(path: str | os.PathLike[str], image: np.ndarray) -> None:
    """Writes (H, W, 3) uint8 RGB or (H, W) uint8 grey as PNG or JPEG, by the suffix of the name; uint16 grey as PNG.

    Raises:
        InputError: the suffix is neither `.png`, `.jpg` nor `.jpeg`.
        RapidSegError: the file cannot be written.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in _OPTIONS:
        raise InputError(f"cannot write {path}: {suffix!r} is not one of {', '.join(_OPTIONS)}")
    _write(Path(path), Image.fromarray(np.ascontiguousarray(image)), _OPTIONS[suffix])


def _write(path: Path, image: Image.Image, options: dict[str, Any]) -> None:
    with atomic_path(path) as temporary:
        image.save(temporary, **options)

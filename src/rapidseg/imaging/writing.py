"""Arrays to image files, whole or not at all.

OpenCV writes JPEGs, since Pillow copies a picture twice before; Pillow writes PNGs, since OpenCV knows no palettes.
"""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from rapidseg.core.errors import InputError
from rapidseg.core.files import atomic_path, write_bytes

_JPEG_SUFFIXES = (".jpg", ".jpeg")
# Colors of single pixels are kept (4:4:4), or the borders of classes would run.
_JPEG_OPTIONS = (
    *(cv2.IMWRITE_JPEG_QUALITY, 92),
    *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444),
)
# Level 3 takes a third of the time of zlib's default 6, and photos grow by a tenth.
_PNG_OPTIONS = {"compress_level": 3}
# Class maps are runs of equal bytes. Looking for runs alone takes as long and gives smaller files than level 3.
_CLASS_MAP_OPTIONS = {"compress_level": 1, "compress_type": zlib.Z_RLE}


def write_class_map(path: str | os.PathLike[str], class_map: np.ndarray, palette: np.ndarray) -> None:
    """Writes a class map as a palette PNG: pixel values are class ids, viewers show the colors.

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
    _write_png(Path(path), image, _CLASS_MAP_OPTIONS)


def write_image(path: str | os.PathLike[str], image: np.ndarray) -> None:
    """Writes (H, W, 3) uint8 RGB or (H, W) uint8 gray as PNG or JPEG, by the suffix of the name; uint16 gray as PNG.

    Raises:
        InputError: the suffix is neither `.png`, `.jpg` nor `.jpeg`.
        RapidSegError: the file cannot be written.
    """
    suffix = Path(path).suffix.lower()
    if suffix in _JPEG_SUFFIXES:
        pixels = cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if image.ndim == 3 else image
        write_bytes(path, cv2.imencode(".jpg", pixels, _JPEG_OPTIONS)[1].tobytes())
    elif suffix == ".png":
        _write_png(Path(path), Image.fromarray(np.ascontiguousarray(image)), _PNG_OPTIONS)
    else:
        raise InputError(f"cannot write {path}: {suffix!r} is not one of .png, {', '.join(_JPEG_SUFFIXES)}")


def _write_png(path: Path, image: Image.Image, options: dict[str, Any]) -> None:
    with atomic_path(path) as temporary:
        image.save(temporary, format="PNG", **options)

"""Arrays to image files, written atomically.

OpenCV encodes JPEGs, because Pillow first copies a picture twice. Pillow encodes PNGs, because OpenCV has no palettes.
"""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from rapidseg.core.errors import InputError, RapidSegError
from rapidseg.core.files import atomic_path, check_output_file, write_bytes
from rapidseg.core.sizes import format_size

MAX_JPEG_SIDE = 65500
"""Largest height or width that libjpeg writes, in pixels."""

_JPEG_SUFFIXES = (".jpg", ".jpeg")
# 4:4:4, because subsampled colors blur the borders between classes.
_JPEG_OPTIONS = (
    *(cv2.IMWRITE_JPEG_QUALITY, 92),
    *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444),
)
# Level 3 takes a third of the time of zlib's default, 6, and files of photos are a tenth larger.
_PNG_OPTIONS = {"compress_level": 3}
# Class maps are runs of equal bytes: run-length matching takes as long as level 3 and makes smaller files.
_CLASS_MAP_OPTIONS = {"compress_level": 1, "compress_type": zlib.Z_RLE}


def write_class_map(path: str | os.PathLike[str], class_map: np.ndarray, palette: np.ndarray) -> None:
    """Writes a class map as a palette PNG: pixel values are class ids, viewers show the colors.

    Args:
        class_map: (H, W) uint8.
        palette: (K, 3) uint8 RGB, K up to 256; further ids are black.

    Raises:
        RapidSegError: the file cannot be written.
    """
    # All 256 entries: Pillow packs pixels of shorter palettes into fewer bits, which some readers stretch.
    table = np.zeros((256, 3), np.uint8)
    table[: len(palette)] = palette
    image = Image.fromarray(np.ascontiguousarray(class_map))
    image.putpalette(table.tobytes())
    _write_png(Path(path), image, _CLASS_MAP_OPTIONS)


def write_image(path: str | os.PathLike[str], image: np.ndarray) -> None:
    """Writes a PNG or JPEG file, by the suffix of its name.

    Args:
        path: ends in `.png`, `.jpg` or `.jpeg`.
        image: (H, W, 3) uint8 RGB or (H, W) uint8 gray; for PNG also (H, W) uint16 gray.

    Raises:
        InputError: the path has another suffix, or the picture is too large for a JPEG.
        RapidSegError: the file cannot be written.
    """
    file = check_output_file(path, (".png", *_JPEG_SUFFIXES))
    if file.suffix.lower() == ".png":
        _write_png(file, Image.fromarray(np.ascontiguousarray(image)), _PNG_OPTIONS)
    else:
        write_bytes(file, encode_jpeg(image))


def encode_jpeg(image: np.ndarray) -> bytes:
    """Returns (H, W, 3) uint8 RGB or (H, W) uint8 gray as the bytes of a JPEG file.

    Raises:
        InputError: a side has more than `MAX_JPEG_SIDE` pixels.
        RapidSegError: OpenCV cannot encode it.
    """
    if max(image.shape[:2]) > MAX_JPEG_SIDE:
        raise InputError(
            f"a JPEG has at most {MAX_JPEG_SIDE} pixels a side, but the picture is {format_size(image.shape)}; "
            "save it as .png, or shrink it"
        )
    pixels = cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if image.ndim == 3 else image
    encoded, content = cv2.imencode(".jpg", pixels, _JPEG_OPTIONS)
    if not encoded:
        raise RapidSegError(f"OpenCV cannot encode a picture of {format_size(image.shape)} as JPEG; save it as .png")
    return content.tobytes()


def _write_png(path: Path, image: Image.Image, options: dict[str, Any]) -> None:
    with atomic_path(path) as temporary:
        image.save(temporary, format="PNG", **options)

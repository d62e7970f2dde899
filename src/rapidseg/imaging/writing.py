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
from PIL.PngImagePlugin import PngInfo

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
# Every picture says who wrote it, so that a later run knows which files it may replace.
_WRITER = b"RapidSeg"
_PNG_MARK = b"tEXtSoftware\0" + _WRITER
_JPEG_MARK = b"\xff\xfe" + (2 + len(_WRITER)).to_bytes(2, "big") + _WRITER
_HEAD_BYTES = 256  # the marks follow the header of a file
# Class maps are runs of equal bytes: run-length matching takes as long as level 3 and makes smaller files.
_CLASS_MAP_OPTIONS = {"compress_level": 1, "compress_type": zlib.Z_RLE}


def write_class_map(path: str | os.PathLike[str], class_map: np.ndarray, palette: np.ndarray) -> Path:
    """Writes a class map as a palette PNG: pixel values are class ids, viewers show the colors.

    Args:
        class_map: (H, W) uint8.
        palette: (K, 3) uint8 RGB, K up to 256; further ids are black.

    Returns:
        The file.

    Raises:
        InputError: the path has another suffix than `.png`.
        RapidSegError: the file cannot be written.
    """
    file = check_output_file(path, (".png",))
    # All 256 entries: Pillow packs pixels of shorter palettes into fewer bits, which some readers stretch.
    table = np.zeros((256, 3), np.uint8)
    table[: len(palette)] = palette
    image = Image.fromarray(np.ascontiguousarray(class_map))
    image.putpalette(table.tobytes())
    _write_png(file, image, _CLASS_MAP_OPTIONS)
    return file


def write_image(path: str | os.PathLike[str], image: np.ndarray) -> Path:
    """Writes a PNG or JPEG file, by the suffix of its name.

    Args:
        path: ends in `.png`, `.jpg` or `.jpeg`.
        image: (H, W, 3) uint8 RGB or (H, W) uint8 gray; for PNG also (H, W) uint16 gray.

    Returns:
        The file.

    Raises:
        InputError: the path has another suffix, or a JPEG file cannot have as many pixels.
        RapidSegError: the file cannot be written.
    """
    file = check_output_file(path, (".png", *_JPEG_SUFFIXES))
    if file.suffix.lower() == ".png":
        _write_png(file, Image.fromarray(np.ascontiguousarray(image)), _PNG_OPTIONS)
    else:
        content = encode_jpeg(image)
        header = 4 + int.from_bytes(content[4:6], "big")  # the start of the image and its JFIF segment
        write_bytes(file, content[:header] + _JPEG_MARK + content[header:])
    return file


def encode_jpeg(image: np.ndarray) -> bytes:
    """Returns (H, W, 3) uint8 RGB or (H, W) uint8 gray as the bytes of a JPEG file.

    Raises:
        InputError: a side is longer than the format allows.
    """
    if max(image.shape[:2]) > MAX_JPEG_SIDE:
        raise InputError(
            f"a JPEG file has at most {MAX_JPEG_SIDE} pixels a side, and the picture {format_size(image.shape[:2])}; "
            "save it as .png"
        )
    pixels = cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if image.ndim == 3 else image
    encoded, content = cv2.imencode(".jpg", pixels, _JPEG_OPTIONS)
    if not encoded:
        raise RapidSegError(f"OpenCV could not encode an array of shape {image.shape} as JPEG; report this as a bug")
    return content.tobytes()


def is_own_picture(path: Path) -> bool:
    """Returns whether a file is a PNG or JPEG that this module wrote."""
    try:
        with open(path, "rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError:
        return False
    return _PNG_MARK in head or _JPEG_MARK in head


def _write_png(path: Path, image: Image.Image, options: dict[str, Any]) -> None:
    marks = PngInfo()
    marks.add_text("Software", _WRITER.decode())
    with atomic_path(path) as temporary:
        image.save(temporary, format="PNG", pnginfo=marks, **options)

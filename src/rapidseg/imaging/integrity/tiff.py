"""TIFF: whether its strips or tiles lie within the file, and whether those that are JPEGs are complete.

The other compressions end where the picture ends, or libtiff raises an error.
"""

from __future__ import annotations

import os
from typing import Any

from rapidseg.imaging.integrity.damage import DamagedImageError
from rapidseg.imaging.integrity.jpeg import check_jpeg

_STRIPS, _TILES = (273, 279), (324, 325)  # tags: positions and lengths
_COMPRESSION, _JPEG, _JPEG_TABLES = 259, 7, 347


def check_tiff(image: Any) -> None:
    """Checks the first page of a TIFF file that Pillow has opened and not yet read.

    Args:
        image: a `PIL.TiffImagePlugin.TiffImageFile`.

    Raises:
        DamagedImageError: a part of the picture is missing.
    """
    file, tags = image.fp, image.tag_v2
    before = file.tell()
    size = file.seek(0, os.SEEK_END)
    try:
        for positions, lengths in (_STRIPS, _TILES):
            for start, length in zip(_numbers(tags.get(positions)), _numbers(tags.get(lengths)), strict=False):
                if start + length > size:
                    raise DamagedImageError(f"a part of it at byte {start} has {length} bytes, the file only {size}")
                if tags.get(_COMPRESSION) == _JPEG:
                    file.seek(start)
                    _check_jpeg_part(file.read(length), bytes(tags.get(_JPEG_TABLES) or b""))
    finally:
        file.seek(before)


def _check_jpeg_part(part: bytes, tables: bytes) -> None:
    """Checks a JPEG whose tables may stand elsewhere, as a JPEG of its own that has only tables."""
    check_jpeg((tables[:-2] if tables else part[:2]) + part[2:])


def _numbers(value: Any) -> tuple[int, ...]:
    if value is None:
        return ()
    return tuple(value) if isinstance(value, tuple) else (value,)

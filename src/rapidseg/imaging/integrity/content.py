"""The check of each format, chosen by the first bytes of a file."""

from __future__ import annotations

from rapidseg.imaging.integrity.damage import DamagedImageError
from rapidseg.imaging.integrity.jpeg import check_jpeg
from rapidseg.imaging.integrity.png import check_png
from rapidseg.imaging.integrity.webp import check_webp

_CHECKS = {b"\xff\xd8\xff": check_jpeg, b"\x89PNG\r\n\x1a\n": check_png, b"RIFF": check_webp}


def check_content(content: bytes) -> bool:
    """Checks an image file; of formats without a check here, such as TIFF, decoders report all that can be known.

    Args:
        content: the whole file. Bytes behind the end of the picture are allowed.

    Returns:
        Whether every decoder reads it without a complaint; False does not mean that it is damaged.

    Raises:
        DamagedImageError: the file is damaged or cut off.
    """
    for start, check in _CHECKS.items():
        if content.startswith(start):
            return check(content)
    return True


__all__ = ["DamagedImageError", "check_content"]

"""WebP: as many bytes as its header says. The format has no checksums."""

from __future__ import annotations

import struct

from rapidseg.imaging.integrity.damage import DamagedImageError

_HEADER = struct.Struct("<4sI4s")


def check_webp(content: bytes) -> bool:
    """Compares the size in the header with the file's."""
    if len(content) < _HEADER.size:
        raise DamagedImageError("its header is cut off")
    _, size, kind = _HEADER.unpack_from(content)
    if kind == b"WEBP" and len(content) < size + 8:
        raise DamagedImageError(f"it has {len(content)} of {size + 8} bytes")
    return True

"""WebP: how large the picture is, and whether there are as many bytes as the header says. There are no checksums."""

from __future__ import annotations

import struct

from rapidseg.imaging.integrity.damage import DamagedImageError

HEADER_BYTES = 30  # at the beginning of the file, which name the size
_HEADER = struct.Struct("<4sI4s")
_LOSSY_START, _LOSSLESS_START = b"\x9d\x01\x2a", 0x2F
_SIDE_BITS = 14


def webp_size_hw(start: bytes) -> tuple[int, int] | None:
    """Returns the size that a WebP file claims; None for other files.

    Pillow does not tell it before libwebp has taken memory for the whole picture, 8 bytes a pixel.

    Args:
        start: the first `HEADER_BYTES` of the file.
    """
    if len(start) < HEADER_BYTES or start[:4] != b"RIFF" or start[8:12] != b"WEBP":
        return None
    kind, mask = start[12:16], (1 << _SIDE_BITS) - 1
    if kind == b"VP8X":
        return int.from_bytes(start[27:30], "little") + 1, int.from_bytes(start[24:27], "little") + 1
    if kind == b"VP8L" and start[20] == _LOSSLESS_START:
        bits = int.from_bytes(start[21:25], "little")
        return (bits >> _SIDE_BITS & mask) + 1, (bits & mask) + 1
    if kind == b"VP8 " and start[23:26] == _LOSSY_START:
        return int.from_bytes(start[28:30], "little") & mask, int.from_bytes(start[26:28], "little") & mask
    return None


def check_webp(content: bytes) -> bool:
    """Compares the size in the header with the file's."""
    if len(content) < _HEADER.size:
        raise DamagedImageError("its header is cut off")
    _, size, kind = _HEADER.unpack_from(content)
    if kind == b"WEBP" and len(content) < size + 8:
        raise DamagedImageError(f"it has {len(content)} of {size + 8} bytes")
    return True

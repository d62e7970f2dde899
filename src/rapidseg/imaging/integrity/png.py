"""PNG: the checksum of every chunk that the picture needs, and the chunk that ends the file."""

from __future__ import annotations

import struct
import zlib

from rapidseg.imaging.integrity.damage import DamagedImageError

_SIGNATURE_LENGTH = 8
_CHUNK = struct.Struct(">I4s")
_UPPER_CASE = 0x20  # this bit of a chunk's first letter is 0 if decoders must understand the chunk


def check_png(content: bytes) -> bool:
    """Checks the chunks up to IEND; Pillow does not look at the checksums of compressed rows, nor for IEND.

    Chunks that pictures do not need, such as texts, may be damaged: Pillow ignores them as well.
    """
    view, position, has_rows = memoryview(content), _SIGNATURE_LENGTH, False
    while True:
        if position + _CHUNK.size > len(content):
            raise DamagedImageError("its last chunk, IEND, is missing")
        length, kind = _CHUNK.unpack_from(content, position)
        end = position + _CHUNK.size + length
        if end + 4 > len(content):
            raise DamagedImageError(f"it ends within the chunk at byte {position}")
        if not kind[0] & _UPPER_CASE:
            (checksum,) = struct.unpack_from(">I", content, end)
            if zlib.crc32(view[position + 4 : end]) != checksum:
                raise DamagedImageError(f"the checksum of the chunk at byte {position} is wrong")
        has_rows |= kind == b"IDAT"
        if kind == b"IEND":
            if not has_rows:
                raise DamagedImageError("it contains no rows")
            return True
        position = end + 4

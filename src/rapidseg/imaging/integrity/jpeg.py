"""JPEG: whether the compressed data is as long as the picture needs.

libjpeg fills what is missing with gray, skips what is too much, and warns of both. Pillow does not pass its warnings
on, and OpenCV prints them without the name of the file. But a decoder that is fed piece by piece tells when it has
enough: if it is finished before the end of the data, or needs more behind it, then bytes are wrong or missing. Decoded
at an eighth of the size, this takes little more than the time of reading the Huffman codes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from PIL import Image

from rapidseg.imaging.integrity.damage import DamagedImageError
from rapidseg.imaging.integrity.jpeg_structure import JpegStructure, Scan, parse_jpeg

# libjpeg reads ahead up to 64 bits, so it may ask for up to 8 bytes behind the last code.
_READ_AHEAD = 8
_MAX_SPARE = 2  # bytes behind the last code that are not padding
_MAX_PARTS = 20_000  # that are decoded on their own, in less than a second; of more, evenly spaced ones
_MAX_WORK = 1 << 31  # pixels times scans: a file of kilobytes may contain thousands of empty scans of a huge picture
_SEQUENTIAL, _PROGRESSIVE = (0xC0, 0xC1), 0xC2
_SCALE = 8  # each block of 8x8 pixels becomes one
_MAX_SIDE = 65500  # of libjpeg
_MODES = {1: "L", 3: "RGB", 4: "CMYK"}


def check_jpeg(content: bytes) -> bool:
    """Checks the data of every scan. Arithmetic coding, which few programs read, is only checked for its markers.

    Returns:
        Whether the file has one scan whose data is exactly as long as the picture needs, so that no decoder complains.

    Raises:
        DamagedImageError: data is missing, or there is more than the picture needs.
    """
    structure = parse_jpeg(content)
    if structure.frame_type not in (*_SEQUENTIAL, _PROGRESSIVE) or len(structure.components) not in _MODES:
        return False
    height, width = structure.size_hw
    if not 0 < min(height, width) <= max(height, width) <= _MAX_SIDE:
        return False  # decoders explain that
    if len(structure.scans) * height * width > _MAX_WORK:
        raise DamagedImageError(f"it has {len(structure.scans)} scans")
    _check_is_complete(structure)
    if structure.frame_type in _SEQUENTIAL and len(structure.scans) == 1:
        exact = True
        for header, size_hw, (start, end) in _single_pictures(content, structure, structure.scans[0]):
            exact &= _check_length(header, content[start:end], size_hw, len(structure.components), start)
        return exact
    _check_scans(content, structure)
    return False


def _check_is_complete(structure: JpegStructure) -> None:
    """Checks that every channel comes in some scan, and that whatever was begun coarsely is refined to the last bit."""
    missing_bits: dict[tuple[int, int], int] = {}
    for scan in structure.scans:
        first, last, bits = scan.band
        for component_id in scan.component_ids:
            for coefficient in range(first, min(last, 63) + 1):
                missing_bits[component_id, coefficient] = bits if structure.frame_type == _PROGRESSIVE else 0
    for component in structure.components:
        if (component.id, 0) not in missing_bits:
            raise DamagedImageError("a color channel is missing")
    if any(missing_bits.values()):
        raise DamagedImageError("its last scans are missing")


def _single_pictures(
    content: bytes, structure: JpegStructure, scan: Scan
) -> Iterator[tuple[bytes, tuple[int, int], tuple[int, int]]]:
    """Yields header, size and data of each part of a scan that can be decoded on its own.

    Restart markers divide a scan into such parts; libjpeg resumes at each of them, so damage in one does not change
    where the next begins.
    """
    header = bytearray(content[: scan.start])
    if not scan.restart_interval:
        if len(scan.intervals) > 1:
            raise DamagedImageError("there are restart markers in it, but its header names none")
        yield bytes(header), structure.size_hw, scan.intervals[0]
        return
    unit_height, unit_width = structure.unit_hw
    rows, columns = -(-structure.size_hw[0] // unit_height), -(-structure.size_hw[1] // unit_width)
    total, step = rows * columns, scan.restart_interval
    if len(scan.intervals) != -(-total // step):
        raise DamagedImageError(f"{len(scan.intervals)} of {-(-total // step)} parts are in it")
    for index in range(0, len(scan.intervals), -(-len(scan.intervals) // _MAX_PARTS)):
        units = min(step, total - index * step)
        # A part becomes a picture of one row of units, or of several where it fills whole rows.
        height, width = (unit_height, units * unit_width)
        if width > _MAX_SIDE and units % columns == 0:
            height, width = units // columns * unit_height, columns * unit_width
        if max(height, width) <= _MAX_SIDE:
            struct.pack_into(">HH", header, structure.size_position, height, width)
            yield bytes(header), (height, width), scan.intervals[index]


def _check_length(header: bytes, data: bytes, size_hw: tuple[int, int], channels: int, position: int) -> bool:
    """Checks that a decoder needs all data and no more; returns whether it needs the last byte, too."""
    decoder = _Decoder(size_hw, channels)
    # Some cameras pad the data, and an encoder that flushes its bits twice adds a byte or two.
    needed = len(data.rstrip(b"\x00\xff")) - _MAX_SPARE - 1
    if needed > 0 and decoder.feed(header + data[:needed]):
        raise DamagedImageError(f"the compressed data that begins at byte {position} is longer than the picture")
    rest = data[needed:] if needed > 0 else header + data
    exact = not decoder.feed(rest[:-1])
    if not exact:
        return False
    if not decoder.feed(rest[-1:].rstrip(b"\xff") + bytes(_READ_AHEAD)):
        raise DamagedImageError(f"the compressed data that begins at byte {position} ends before the picture does")
    return True


def _check_scans(content: bytes, structure: JpegStructure) -> None:
    """Checks that the data of every scan of a file with several suffices.

    A decoder that has all it needs of a scan looks for the next marker, and skips whatever comes before that. One that
    needs more keeps some of the last bytes that it got.
    """
    decoder = _Decoder(structure.size_hw, len(structure.components))
    position = 0
    for scan in structure.scans:
        for start, end in scan.intervals:
            decoder.feed(content[position:end] + bytes(_READ_AHEAD))
            for _ in range(_READ_AHEAD):
                if decoder.pending and not decoder.finished:
                    break
                decoder.feed(b"\0")
            if decoder.pending and not decoder.finished:
                raise DamagedImageError(f"the compressed data that begins at byte {start} ends before its scan does")
            position = end


class _Decoder:
    """Pillow's JPEG decoder, fed piece by piece."""

    def __init__(self, size_hw: tuple[int, int], channels: int) -> None:
        mode = _MODES[channels]
        size = (-(-size_hw[1] // _SCALE), -(-size_hw[0] // _SCALE))
        self._decoder = Image._getdecoder(mode, "jpeg", (mode, "", _SCALE, 0))
        self._pixels = Image.core.new(mode, size)
        self._decoder.setimage(self._pixels, (0, 0, *size))
        self.pending = b""
        self.finished = False

    def feed(self, data: bytes) -> bool:
        """Takes more of the file; returns whether the whole picture is decoded."""
        data = self.pending + data
        consumed, error = self._decoder.decode(data)
        if error:
            raise DamagedImageError("its compressed data is not possible")
        self.finished |= consumed < 0
        self.pending = b"" if consumed < 0 else data[consumed:]
        return self.finished

"""The markers of a JPEG: its frame, its scans, and where their compressed data begin and end (ITU-T T.81, annex B)."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

from rapidseg.imaging.integrity.damage import DamagedImageError

_END, _SCAN, _RESTART_INTERVAL = 0xD9, 0xDA, 0xDD
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # C4, C8 and CC are not frames
_WITHOUT_LENGTH = frozenset((0x01, *range(0xD0, 0xD8)))
_NEXT_MARKER = re.compile(rb"\xff[^\x00\xff]")


@dataclass(frozen=True)
class Component:
    """A color channel: its id and how many blocks of 8x8 pixels it has per unit, across and down."""

    id: int
    across: int
    down: int


@dataclass(frozen=True)
class Scan:
    """A scan.

    Attributes:
        start: index of its first compressed byte.
        intervals: first index, and the one behind the last, of its compressed data, split at the restart markers.
        component_ids: of the channels in it.
        band: first and last coefficient in it, and the number of their low bits that later scans refine.
        restart_interval: units between restart markers; 0: there are none.
    """

    start: int
    intervals: tuple[tuple[int, int], ...]
    component_ids: tuple[int, ...]
    band: tuple[int, int, int]
    restart_interval: int


@dataclass(frozen=True)
class JpegStructure:
    """A JPEG up to its end marker.

    Attributes:
        frame_type: the second byte of the frame's marker; 0xC0 and 0xC1 are sequential, 0xC2 progressive, 0xC9 and
            0xCA arithmetic.
        size_position: index of the frame's height, which the width follows, each in two bytes.
        size_hw: height and width in pixels.
        components, scans: in the order of the file.
    """

    frame_type: int
    size_position: int
    size_hw: tuple[int, int]
    components: tuple[Component, ...]
    scans: tuple[Scan, ...]

    @property
    def unit_hw(self) -> tuple[int, int]:
        """Pixels of a unit of a scan with all channels."""
        if len(self.components) == 1:
            return 8, 8
        return 8 * max(part.down for part in self.components), 8 * max(part.across for part in self.components)


def parse_jpeg(content: bytes) -> JpegStructure:
    """Reads the markers of a JPEG file; bytes behind its end marker are ignored.

    Raises:
        DamagedImageError: a marker is missing, out of order or not possible where it is.
    """
    frame: tuple[int, int, tuple[int, int], tuple[Component, ...]] | None = None
    scans: list[Scan] = []
    position, restart_interval = 2, 0
    try:
        while True:
            position = _skip_to_marker(content, position)
            marker = content[position + 1]
            if marker == _END:
                break
            if marker in _WITHOUT_LENGTH:
                position += 2
                continue
            (length,) = struct.unpack_from(">H", content, position + 2)
            body, following = position + 4, position + 2 + length
            if length < 2 or following > len(content):
                raise DamagedImageError("it ends within its header")
            if marker in _FRAMES:
                if frame is not None:
                    # Decoders take the first, or refuse it; the size must be theirs.
                    raise DamagedImageError(f"there is a second frame at byte {position}")
                height, width, count = struct.unpack_from(">HHB", content, body + 1)
                parts = (content[body + 6 + 3 * index : body + 9 + 3 * index] for index in range(count))
                components = tuple(Component(part[0], part[1] >> 4, part[1] & 15) for part in parts)
                frame = marker, body + 1, (height, width), components
            elif marker == _RESTART_INTERVAL:
                (restart_interval,) = struct.unpack_from(">H", content, body)
            elif marker == _SCAN:
                intervals, following_marker = _intervals(content, following)
                count = content[body]
                ids = tuple(content[body + 1 + 2 * index] for index in range(count))
                first, last, bits = content[body + 1 + 2 * count : body + 4 + 2 * count]
                scans.append(Scan(following, intervals, ids, (first, last, bits & 15), restart_interval))
                following = following_marker
            position = following
    except (IndexError, ValueError, struct.error) as error:
        raise DamagedImageError("its end marker is missing") from error
    if frame is None or not scans:
        raise DamagedImageError("it ends before its picture")
    return JpegStructure(*frame, tuple(scans))


def _skip_to_marker(content: bytes, position: int) -> int:
    """Returns the index of the marker at `position`, behind the fill bytes that may precede it."""
    while content[position : position + 2] == b"\xff\xff":
        position += 1
    if content[position] != 0xFF or content[position + 1] in (0x00, 0xD8):
        raise DamagedImageError(f"there is no marker at byte {position}")
    return position


def _intervals(content: bytes, start: int) -> tuple[tuple[tuple[int, int], ...], int]:
    """Returns the compressed data from `start`, split at restart markers, and the index of the marker behind them."""
    intervals = []
    search = start
    while (found := _NEXT_MARKER.search(content, search)) is not None:
        position = found.start()
        intervals.append((start, position))
        if not 0xD0 <= content[position + 1] <= 0xD7:
            return tuple(intervals), position
        if content[position + 1] != 0xD0 + (len(intervals) - 1) % 8:
            raise DamagedImageError(f"the restart marker at byte {position} is out of order")
        start = search = position + 2
    raise DamagedImageError("its end marker is missing")

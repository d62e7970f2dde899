"""How much a file may ask for: memory and time stay within a small multiple of the file's size.

Every limit is far above what files of weights need, and low enough that a hostile file is refused in seconds.
"""

from __future__ import annotations

MAX_AXES = 32  # of an array in NumPy 1
MAX_BYTES = (1 << 63) - 1  # that NumPy can address; also the largest size, stride and offset
MAX_NAME_LENGTH = 500  # characters of a tensor's or class's name, which messages quote
MAX_VALUES = 2_000_000  # that a pickle or a JSON header may hold: a byte of either can make an object of 64 bytes

_MAX_RATIO = (
    16  # bytes of values per byte of the file: views share and repeat bytes, and zip archives may be compressed
)
_FREE_BYTES = 1 << 26  # allowed for any file, since a mask of a single number may be expanded


def allowed_bytes(file_bytes: int) -> int:
    """Returns how many bytes the values of a file may take, or become when unpacked."""
    return max(_FREE_BYTES, _MAX_RATIO * file_bytes)


def is_name(text: str) -> bool:
    """Returns whether a text is short and printable, so that a message of a single line can quote it."""
    return len(text) <= MAX_NAME_LENGTH and text.isprintable()

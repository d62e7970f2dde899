"""Damaged image files: every format that is accepted, mutated as bytes and by its own structure."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

import numpy as np

from tests.support.image_bytes import SOUND, encoded, photo, rle_bmp

_SMALL = (24, 40)
_INTERESTING = (b"\0", b"\xff", b"\x7f", b"\x80", b"\0\0", b"\xff\xff", b"\x7f\xff\xff\xff", b"\xff\xd9", b"\xff\xda")


def image_files(seed: int, count: int) -> Iterator[tuple[str, bytes]]:
    """Yields `count` kinds and files; the same seed gives the same files."""
    rng = np.random.default_rng(seed)
    bases = _bases()
    names = list(bases)
    for _ in range(count):
        name = names[int(rng.integers(len(names)))]
        content = bases[name]
        mutate = _MUTATIONS[int(rng.integers(len(_MUTATIONS)))]
        for _ in range(int(rng.integers(1, 4))):
            content = mutate(content, rng, bases)
        if name.startswith("png") and rng.integers(2):
            content = _with_checksums(content)
        yield name, content


def _bases() -> dict[str, bytes]:
    """Small sound files, so that a mutation meets their structure often."""
    bases = {name: make() for name, make in SOUND.items()}
    small = photo(_SMALL)
    bases |= {
        "jpeg small": encoded(small, "JPEG"),
        "jpeg small progressive": encoded(small, "JPEG", progressive=True),
        "jpeg small restarts": encoded(small, "JPEG", restart_marker_blocks=2),
        "png small": encoded(small, "PNG"),
        "png small gray": encoded(small[:, :, 0], "PNG"),
        "webp small": encoded(small, "WEBP"),
        "webp small lossless": encoded(small, "WEBP", lossless=True),
        "bmp small": encoded(small, "BMP"),
        "bmp run lengths of 4 bits": rle_bmp((9, 11), b"\x0b\x12\0\0" * 9 + b"\0\1", bits=4),
        "bmp run lengths of 8 bits": rle_bmp((9, 11), b"\x0b\x12\0\0\0\x03\1\2\3\0\0\0" * 5 + b"\0\1"),
        "tiff small": encoded(small, "TIFF"),
        "tiff small lzw": encoded(small, "TIFF", compression="tiff_lzw"),
        "tiff small jpeg": encoded(small, "TIFF", compression="jpeg"),
        "tiff small packbits": encoded(small, "TIFF", compression="packbits"),
    }
    return bases


def _flip_bit(content: bytes, rng: np.random.Generator, bases: dict[str, bytes]) -> bytes:
    changed = bytearray(content)
    for _ in range(int(rng.integers(1, 6))):
        changed[_place(changed, rng)] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def _overwrite(content: bytes, rng: np.random.Generator, bases: dict[str, bytes]) -> bytes:
    start, length = _place(content, rng), int(rng.integers(1, 80))
    return content[:start] + rng.bytes(length) + content[start + length :]


def _put_interesting(content: bytes, rng: np.random.Generator, bases: dict[str, bytes]) -> bytes:
    start, value = _place(content, rng), _INTERESTING[int(rng.integers(len(_INTERESTING)))]
    return content[:start] + value + content[start + len(value) :]


def _cut(content: bytes, rng: np.random.Generator, bases: dict[str, bytes]) -> bytes:
    kept = content[: _place(content, rng) + 1]
    return kept + (b"", b"\xff\xd9", bytes(200))[int(rng.integers(3))]


def _remove(content: bytes, rng: np.random.Generator, bases: dict[str, bytes]) -> bytes:
    start = _place(content, rng)
    return (content[:start] + content[start + int(rng.integers(1, 60)) :]) or b"\0"


def _insert(content: bytes, rng: np.random.Generator, bases: dict[str, bytes]) -> bytes:
    start = _place(content, rng)
    again = (
        content[start : start + int(rng.integers(1, 200))] if rng.integers(2) else rng.bytes(int(rng.integers(1, 60)))
    )
    return content[:start] + again + content[start:]


def _splice(content: bytes, rng: np.random.Generator, bases: dict[str, bytes]) -> bytes:
    other = list(bases.values())[int(rng.integers(len(bases)))]
    return content[: _place(content, rng) + 1] + other[_place(other, rng) :]


def _append(content: bytes, rng: np.random.Generator, bases: dict[str, bytes]) -> bytes:
    return content + rng.bytes(int(rng.integers(1, 100)))


_MUTATIONS = (_flip_bit, _flip_bit, _overwrite, _put_interesting, _cut, _remove, _insert, _splice, _append)


def _place(content: bytes | bytearray, rng: np.random.Generator) -> int:
    """Returns an index; every other one lies in the header, where sizes and tables stand."""
    return int(rng.integers(min(len(content), 64) if rng.integers(2) else len(content)))


def _with_checksums(content: bytes) -> bytes:
    """Corrects the checksums of a PNG as far as its chunks can be followed, so that decoders see what is in them."""
    fixed, position = bytearray(content), 8
    while position + 12 <= len(fixed):
        (length,) = struct.unpack_from(">I", fixed, position)
        end = position + 8 + length
        if end + 4 > len(fixed):
            break
        struct.pack_into(">I", fixed, end, zlib.crc32(fixed[position + 4 : end]))
        position = end + 4
    return bytes(fixed)

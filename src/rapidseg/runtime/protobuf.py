"""The little of protocol buffers that reading and writing model files takes: fields with bytes in them.

A message is a sequence of fields, each with a number and a wire type (https://protobuf.dev/programming-guides/encoding).
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


@dataclass(frozen=True)
class Field:
    """A field of a message.

    Attributes:
        number: its number.
        start: position of its tag.
        body: position behind tag and length.
        end: position behind it.
        value: of a varint; 0 for other wire types.
        wire_type: how it is stored.
    """

    number: int
    start: int
    body: int
    end: int
    value: int
    wire_type: int


def read_fields(message: bytes | memoryview | mmap.mmap) -> Iterator[Field]:
    """Yields the fields of a message.

    Raises:
        ValueError: this is not a message of protocol buffers, or it ends too early.
    """
    position = 0
    while position < len(message):
        start = position
        tag, position = _read_varint(message, position)
        number, wire_type, value = tag >> 3, tag & 7, 0
        if number == 0:
            raise ValueError("field number 0")
        body = position
        if wire_type == VARINT:
            value, position = _read_varint(message, position)
        elif wire_type == BYTES:
            length, body = _read_varint(message, position)
            position = body + length
        elif wire_type in (FIXED64, FIXED32):
            position += 8 if wire_type == FIXED64 else 4
        else:
            raise ValueError(f"wire type {wire_type}")
        if position > len(message):
            raise ValueError("a field reaches beyond the end")
        yield Field(number, start, body, position, value, wire_type)


def varint_field(number: int, value: int) -> bytes:
    """Returns a field with an integer of 0 or more."""
    return _varint(number << 3 | VARINT) + _varint(value)


def bytes_field(number: int, content: bytes) -> bytes:
    """Returns a field with bytes, text or a message."""
    return field_header(number, len(content)) + content


def field_header(number: int, length: int) -> bytes:
    """Returns what stands before the content of a field of `length` bytes."""
    return _varint(number << 3 | BYTES) + _varint(length)


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _read_varint(message: bytes | memoryview | mmap.mmap, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(message):
            raise ValueError("a number reaches beyond the end")
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise ValueError("a number of more than 10 bytes")

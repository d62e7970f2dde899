"""PyTorch's format since version 1.6: a zip archive of a pickle and a file for each storage."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from rapidseg.checkpoints.limits import allowed_bytes
from rapidseg.checkpoints.other_kinds import OtherKindError, reject_archive
from rapidseg.checkpoints.pickled_values import StorageType
from rapidseg.checkpoints.stored_tensor import DTYPES, Storage, UnreadableError
from rapidseg.checkpoints.unpickler import Unpickler

PICKLE = "data.pkl"
_LOCAL_HEADER = struct.Struct("<4s22xHH")  # signature, lengths of name and extra field
_MAX_DIRECTORY_BYTES = 1 << 24  # some 160,000 storages; `zipfile` takes 15 times as much memory for it


def is_zip(start: bytes) -> bool:
    """Returns whether a file that begins with these bytes is a zip archive."""
    return start.startswith((b"PK\x03\x04", b"PK\x05\x06"))


def read_zip(path: Path, data: np.ndarray) -> tuple[Any, Unpickler]:
    """Returns the content of an archive.

    Args:
        path: the file.
        data: its bytes, (N,) uint8, mapped.

    Raises:
        UnreadableError: it is damaged, has no pickle, or its entries do not fit.
    """
    reader = _ArchiveReader(_list_entries(path), data)
    unpickler = Unpickler(reader.entry(reader.pickle).data, reader.storage)
    return unpickler.load(), unpickler


class _DirectoryFile(io.FileIO):
    """A file of which `zipfile` reads the directory, and no more than that."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > _MAX_DIRECTORY_BYTES:
            raise UnreadableError(f"its directory would take {size} bytes; {_MAX_DIRECTORY_BYTES} are possible")
        return super().read(-1 if size is None else size) or b""


def _list_entries(path: Path) -> dict[str, zipfile.ZipInfo]:
    try:
        with _DirectoryFile(path) as file, zipfile.ZipFile(file) as archive:
            listed = archive.infolist()
    except UnreadableError:
        raise
    except Exception as error:  # `zipfile` raises many kinds for damaged directories
        raise UnreadableError("the directory at its end is missing or damaged") from error
    entries = {entry.filename: entry for entry in listed}
    if len(entries) != len(listed):
        raise UnreadableError("it has two entries of the same name")
    return entries


class _ArchiveReader:
    """Finds the entries of an archive in the bytes of its file."""

    def __init__(self, entries: dict[str, zipfile.ZipInfo], data: np.ndarray) -> None:
        self._entries = entries
        self._data = data
        self._unpacked = 0
        pickles = [name for name in entries if name == PICKLE or name.endswith(f"/{PICKLE}")]
        if not pickles:
            reject_archive(entries)
        self.pickle = min(pickles, key=len)
        self._prefix = self.pickle.removesuffix(PICKLE)
        if f"{self._prefix}constants.pkl" in entries:
            raise OtherKindError(
                "cannot be read: it is a TorchScript program, which only PyTorch can run; save the weights with "
                "PyTorch: torch.save(torch.jit.load(...).state_dict(), ...)"
            )
        self._big_endian = self._read_order() == b"big"
        self._storages: dict[str, Storage] = {}

    def _read_order(self) -> bytes:
        name = f"{self._prefix}byteorder"
        order = self.entry(name)[:8].tobytes() if name in self._entries else b"little"
        if order not in (b"little", b"big"):
            raise UnreadableError("its byte order is neither little nor big")
        return order

    def entry(self, name: str) -> np.ndarray:
        """Returns the bytes of an entry, (N,) uint8, without a copy where it is not compressed."""
        info = self._entries.get(name)
        if info is None:
            raise UnreadableError(f"its entry {name!r:.120} is missing")
        if info.flag_bits & 1:
            raise UnreadableError("it is encrypted")
        start = info.header_offset
        header = self._data[start : start + _LOCAL_HEADER.size].tobytes() if start >= 0 else b""
        if len(header) < _LOCAL_HEADER.size:
            raise UnreadableError(f"its entry {name!r:.120} lies outside of the file")
        signature, name_length, extra_length = _LOCAL_HEADER.unpack(header)
        first = start + _LOCAL_HEADER.size + name_length + extra_length
        if signature != b"PK\x03\x04" or first + info.compress_size > len(self._data):
            raise UnreadableError(f"its entry {name!r:.120} lies outside of the file")
        stored = self._data[first : first + info.compress_size]
        if info.compress_type == zipfile.ZIP_DEFLATED:
            return self._unpack(info, stored)
        if info.compress_type != zipfile.ZIP_STORED:
            raise UnreadableError(f"its entry {name!r:.120} is compressed in another way than deflate")
        if info.file_size != info.compress_size:
            raise UnreadableError(f"its entry {name!r:.120} has two sizes")
        return stored

    def _unpack(self, info: zipfile.ZipInfo, packed: np.ndarray) -> np.ndarray:
        """Returns the bytes of a compressed entry.

        `ZipFile.read` would unpack up to 2 GB before it compares the size with the directory's.
        """
        self._unpacked += info.file_size
        if self._unpacked > allowed_bytes(len(self._data)):
            raise UnreadableError(f"its entries become {self._unpacked} bytes or more when unpacked")
        try:
            unpacked = zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed.data, info.file_size + 1)
        except zlib.error as error:
            raise UnreadableError(f"its entry {info.filename!r:.120} is damaged") from error
        if len(unpacked) != info.file_size or zlib.crc32(unpacked) != info.CRC:
            raise UnreadableError(f"its entry {info.filename!r:.120} is damaged")
        return np.frombuffer(unpacked, np.uint8)

    def storage(self, type_: StorageType, key: str, count: int, view: Any) -> Storage:
        """Returns the storage of a persistent id."""
        num_bytes = count * (1 if type_.dtype is None else DTYPES[type_.dtype].itemsize)
        known = self._storages.get(key)
        if known is not None:
            if (known.dtype, known.num_bytes) != (type_.dtype, num_bytes):
                raise UnreadableError(f"storage {key!r:.80} has two types or sizes")
            return known
        data = self.entry(f"{self._prefix}data/{key}")
        if len(data) < num_bytes:
            raise UnreadableError(f"storage {key!r:.80} has {len(data)} bytes instead of {num_bytes}")
        storage = Storage(key, type_.dtype, num_bytes, self._big_endian, data[:num_bytes])
        return self._storages.setdefault(key, storage)

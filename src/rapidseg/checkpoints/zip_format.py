"""PyTorch's format since version 1.6: a zip archive of a pickle and a file for each storage."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from rapidseg.checkpoints.stored_tensor import DTYPES, Storage, UnreadableError
from rapidseg.checkpoints.unpickler import StorageType, Unpickler

PICKLE = "data.pkl"
_LOCAL_HEADER = struct.Struct("<4s22xHH")  # signature, lengths of name and extra field
_MAX_RATIO = 16  # unpacked bytes per byte of the file; PyTorch does not compress, and zip bombs exist


def read_zip(path: Path, data: np.ndarray) -> tuple[Any, Unpickler]:
    """Returns the content of an archive.

    Args:
        path: the file.
        data: its bytes, (N,) uint8, mapped.

    Raises:
        UnreadableError: it has no pickle, or its entries do not fit.
    """
    with zipfile.ZipFile(path) as archive:
        reader = _ArchiveReader(archive, data)
        unpickler = Unpickler(reader.entry(reader.pickle).data, reader.storage)
        return unpickler.load(), unpickler


class _ArchiveReader:
    """Finds the entries of an archive in the bytes of its file."""

    def __init__(self, archive: zipfile.ZipFile, data: np.ndarray) -> None:
        self._archive = archive
        self._data = data
        self._unpacked = 0
        self._entries = {entry.filename: entry for entry in archive.infolist()}
        pickles = [name for name in self._entries if name == PICKLE or name.endswith(f"/{PICKLE}")]
        if not pickles:
            raise UnreadableError(f"it has no {PICKLE}")
        self.pickle = min(pickles, key=len)
        self._prefix = self.pickle.removesuffix(PICKLE)
        if f"{self._prefix}constants.pkl" in self._entries:
            raise UnreadableError(
                "it is a TorchScript program, which only PyTorch can run; save the weights where it was made: "
                "torch.save(model.state_dict(), ...)"
            )
        order = f"{self._prefix}byteorder"
        self._big_endian = order in self._entries and self.entry(order).tobytes() == b"big"
        self._storages: dict[str, Storage] = {}

    def entry(self, name: str) -> np.ndarray:
        """Returns the bytes of an entry, without a copy where it is not compressed."""
        info = self._entries.get(name)
        if info is None:
            raise UnreadableError(f"its entry {name!r:.120} is missing")
        if info.flag_bits & 1:
            raise UnreadableError("it is encrypted")
        if info.compress_type != zipfile.ZIP_STORED:
            self._unpacked += info.file_size
            if self._unpacked > len(self._data) * _MAX_RATIO:
                raise UnreadableError(f"its entries become {self._unpacked} bytes or more when unpacked")
            return np.frombuffer(self._archive.read(info), np.uint8)
        start = info.header_offset
        header = self._data[start : start + _LOCAL_HEADER.size].tobytes()
        if start < 0 or len(header) < _LOCAL_HEADER.size:
            raise UnreadableError(f"its entry {name!r:.120} lies outside of the file")
        signature, name_length, extra_length = _LOCAL_HEADER.unpack(header)
        first = start + _LOCAL_HEADER.size + name_length + extra_length
        if signature != b"PK\x03\x04" or first + info.file_size > len(self._data):
            raise UnreadableError(f"its entry {name!r:.120} lies outside of the file")
        return self._data[first : first + info.file_size]

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

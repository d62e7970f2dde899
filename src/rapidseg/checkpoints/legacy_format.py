"""PyTorch's format before version 1.6: pickles, and behind them the bytes of the storages.

The pickles are a magic number, the version of the format, facts about the machine, the content, and the names of the
storages. The bytes of each storage follow its number of elements, 8 bytes (`torch.serialization._legacy_save`). They
are little-endian on every machine (`writeFileRaw` in torch/csrc/serialization.cpp); older big-endian machines wrote the
number in their own order.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rapidseg.checkpoints.pickled_values import StorageType, as_storage_key
from rapidseg.checkpoints.stored_tensor import DTYPES, Storage, UnreadableError
from rapidseg.checkpoints.unpickler import Unpickler

_MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
_VERSION = 1001
LEGACY_BEGINNING = b"\x80\x02\x8a\x0a" + _MAGIC_NUMBER.to_bytes(10, "little")  # the pickle of the magic number


def read_legacy(data: np.ndarray) -> tuple[Any, Unpickler]:
    """Returns the content of a file, which may also be a pickle alone.

    Args:
        data: its bytes, (N,) uint8, mapped.

    Raises:
        UnreadableError: it is another kind of file, damaged, or cut off.
    """
    pickles = data.data
    storages = _Storages(data)
    first = Unpickler(pickles, storages.declare)
    if (magic := first.load()) != _MAGIC_NUMBER:
        if storages.declared:
            raise UnreadableError("it is a pickle without the bytes of its tensors")
        return magic, first
    version = Unpickler(pickles, storages.declare, first.position)
    if (number := version.load()) != _VERSION:
        given = str(number) if type(number) is int and abs(number) < 1 << 32 else "that is not a number"
        raise UnreadableError(f"its format has a version {given}; {_VERSION} is known")
    facts = Unpickler(pickles, storages.declare, version.position)
    stored = facts.load()
    big_endian = isinstance(stored, dict) and stored.get("little_endian") is False
    unpickler = Unpickler(pickles, storages.declare, facts.position)
    content = unpickler.load()
    names = Unpickler(pickles, storages.declare, unpickler.position)
    storages.fill(names.load(), names.position, big_endian)
    return content, unpickler


class _Storages:
    """Storages that the content refers to before their bytes are reached."""

    def __init__(self, data: np.ndarray) -> None:
        self._data = data
        self.declared: dict[str, Storage] = {}
        self._views: list[tuple[Storage, Storage, int]] = []  # view, what it is a part of, its first byte

    def declare(self, type_: StorageType, key: str, count: int, view: Any) -> Storage:
        """Returns the storage of a persistent id, without its bytes."""
        item_bytes = 1 if type_.dtype is None else DTYPES[type_.dtype].itemsize
        storage = self.declared.setdefault(key, Storage(key, type_.dtype, count * item_bytes))
        if (storage.dtype, storage.num_bytes) != (type_.dtype, count * item_bytes):
            raise UnreadableError(f"storage {key!r:.80} has two types or sizes")
        if view is None:
            return storage
        if not isinstance(view, tuple) or len(view) != 3 or not all(type(number) is int for number in view[1:]):
            raise UnreadableError(f"a view of storage {key!r:.80} has no place")
        _, offset, size = view
        if offset < 0 or size < 0 or offset + size > count:
            raise UnreadableError(f"a view of storage {key!r:.80} lies outside of it")
        part = Storage(key, type_.dtype, size * item_bytes)
        self._views.append((part, storage, offset * item_bytes))
        return part

    def fill(self, names: Any, position: int, big_endian: bool) -> None:
        """Finds the bytes of all storages, which begin at `position` in the order of `names`."""
        if not isinstance(names, list):
            raise UnreadableError("the names of its storages are missing")
        for name in names:
            storage = self.declared.get(as_storage_key(name))
            if storage is None:
                raise UnreadableError("it has a storage that no tensor uses")
            item_bytes = 1 if storage.dtype is None else DTYPES[storage.dtype].itemsize
            number = self._data[position : position + 8].tobytes()
            counts = [int.from_bytes(number, "little"), *([int.from_bytes(number, "big")] if big_endian else [])]
            if storage.num_bytes not in [count * item_bytes for count in counts]:
                raise UnreadableError(f"storage {storage.key!r:.80} has {counts[0]} elements, which is not its size")
            position += 8
            storage.data = self._data[position : position + storage.num_bytes]
            position += storage.num_bytes
            if position > len(self._data):
                raise UnreadableError("it ends too early")
        for part, whole, first in self._views:
            part.data = whole.data[first : first + part.num_bytes]
        missing = [key for key, storage in self.declared.items() if storage.data.size != storage.num_bytes]
        if missing:
            raise UnreadableError(f"the bytes of {len(missing)} storages are missing")

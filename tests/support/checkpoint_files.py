"""Files of weights put together by hand, for what no library writes."""

from __future__ import annotations

import json
import pickle
import struct
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rapidseg.checkpoints import read_checkpoint
from rapidseg.core.errors import ModelFileError

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C

_MAX_SECONDS = 20  # to refuse a file; the slowest takes 4 on an idle core


@dataclass(frozen=True)
class Code:
    """Instructions of a pickle that leave a value on the stack."""

    data: bytes


def assemble(value: Any) -> bytes:
    """Returns the instructions that make a value, which may hold `Code`."""
    if isinstance(value, Code):
        return value.data
    if isinstance(value, tuple):
        return b"(" + b"".join(map(assemble, value)) + b"t"
    if isinstance(value, list):
        return b"](" + b"".join(map(assemble, value)) + b"e"
    if isinstance(value, dict):
        return b"}(" + b"".join(assemble(key) + assemble(item) for key, item in value.items()) + b"u"
    if isinstance(value, str):
        return (
            b"X"
            + struct.pack("<I", len(value.encode("utf-8", "surrogatepass")))
            + value.encode("utf-8", "surrogatepass")
        )
    return pickle.dumps(value, 2)[2:-1]  # without the protocol and the end


def pickled(value: Any) -> bytes:
    """Returns the pickle of a value, which may hold `Code`."""
    return b"\x80\x02" + assemble(value) + b"."


def named(name: str) -> Code:
    """Returns the instruction that looks up a class or function."""
    module, _, last = name.rpartition(".")
    return Code(f"c{module}\n{last}\n".encode())


def called(function: str, *arguments: Any) -> Code:
    """Returns the instructions that call a function."""
    return Code(named(function).data + assemble(arguments) + b"R")


def storage(type_: str = "torch.FloatStorage", key: Any = "0", count: Any = 4, *view: Any) -> Code:
    """Returns the instructions that refer to a storage."""
    return Code(assemble(("storage", named(type_), key, "cpu", count, *view)) + b"Q")


def tensor(of: Code | None = None, offset: Any = 0, size: Any = (4,), stride: Any = (1,), *more: Any) -> Code:
    """Returns the instructions that make a tensor."""
    arguments = (of or storage(), offset, size, stride, False, called("collections.OrderedDict"), *more)
    return called("torch._utils._rebuild_tensor_v2", *arguments)


def write_zip(path: Path, content: Any, storages: dict[str, bytes] | None = None, **entries: bytes) -> Path:
    """Writes a checkpoint as PyTorch does since 1.6; `content` may be the bytes of a pickle."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model/data.pkl", content if isinstance(content, bytes) else pickled(content))
        for name, data in entries.items():
            archive.writestr(f"model/{name}", data)
        for key, data in (storages if storages is not None else {"0": bytes(16)}).items():
            archive.writestr(f"model/data/{key}", data)
    return path


def legacy_bytes(content: Any, names: Any, *storages: tuple[int, bytes], little_endian: bool = True) -> bytes:
    """Returns a checkpoint as PyTorch wrote it before 1.6; storages are numbers of elements and bytes."""
    facts = {"protocol_version": 1001, "little_endian": little_endian}
    pickles = b"".join(map(pickled, (LEGACY_MAGIC, 1001, facts, content, names)))
    return pickles + b"".join(struct.pack("<Q", count) + data for count, data in storages)


def safetensors_bytes(header: Any, body: bytes = b"") -> bytes:
    """Returns a safetensors file; `header` may be the bytes of the JSON text."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def changed(data: bytes, position: int, new: bytes) -> bytes:
    """Returns bytes of which some are replaced."""
    return data[:position] + new + data[position + len(new) :]


def refusal_of(folder: Path, file: Path | bytes, name: str = "model.pth") -> str:
    """Reads a file that must be refused with a single sentence, and soon.

    Args:
        folder: where to write bytes.
        file: the file, or its bytes.
        name: of the file that is written.

    Returns:
        The message behind the path.
    """
    path = folder / name if isinstance(file, bytes) else file
    if isinstance(file, bytes):
        path.write_bytes(file)
    start = time.perf_counter()
    with pytest.raises(ModelFileError) as caught:
        read_checkpoint(path)
    assert time.perf_counter() - start < _MAX_SECONDS
    message = str(caught.value)
    assert message.startswith(str(path))
    assert message.isprintable()
    assert len(message) < 600 + len(str(path))
    return message.removeprefix(str(path))

"""Zip archives that are damaged or lie about their sizes: each is refused in a single sentence, and never unpacked."""

import struct
import tracemalloc
import zipfile
import zlib

import numpy as np
import pytest
import torch

from rapidseg.checkpoints import read_checkpoint
from rapidseg.core.errors import ModelFileError
from tests.support.checkpoint_files import (
    changed,
    pickled,
    storage,
    tensor,
    write_zip,
)


def stored_zip(tmp_path):
    return write_zip(tmp_path / "whole.pth", {"a": tensor()}).read_bytes()


def test_a_storage_that_is_too_short_or_missing_is_refused(tmp_path, refusal):
    path = tmp_path / "model.pth"
    assert "storage '0' has 15 bytes instead of 16" in refusal(write_zip(path, [tensor()], {"0": bytes(15)}))
    assert "its entry 'model/data/0' is missing" in refusal(write_zip(path, [tensor()], {}))
    outside = [tensor(storage(key="../../../etc/passwd"))]
    assert "its entry 'model/data/../../../etc/passwd' is missing" in refusal(write_zip(path, outside))


def test_names_with_dots_are_names(tmp_path):
    key = "../../outside"
    path = write_zip(tmp_path / "model.pth", [tensor(storage(key=key))], {key: np.arange(4, dtype="<f4").tobytes()})
    before = sorted(tmp_path.rglob("*"))
    assert read_checkpoint(path).content[0].numpy().tolist() == [0, 1, 2, 3]
    assert sorted(tmp_path.rglob("*")) == before


def test_archives_that_end_too_early_say_so(tmp_path, refusal):
    whole = stored_zip(tmp_path)
    for end in (4, 30, 100, len(whole) - 1):
        assert "the directory at its end is missing or damaged" in refusal(whole[:end])


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_entries_of_one_name_are_refused(tmp_path, refusal):
    path = write_zip(tmp_path / "model.pth", [tensor()])
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("model/data/0", bytes(16))
    assert "it has two entries of the same name" in refusal(path)


def test_encrypted_archives_are_refused(tmp_path, refusal):
    whole = stored_zip(tmp_path)
    directory = whole.index(b"PK\x01\x02")
    assert "it is encrypted" in refusal(changed(whole, directory + 8, b"\x01"))


@pytest.mark.parametrize("version", [0, 45, 99, 255])
def test_the_version_that_an_archive_asks_for_does_not_matter_or_is_refused(version, tmp_path, refusal):
    whole = stored_zip(tmp_path)
    data = changed(whole, whole.index(b"PK\x01\x02") + 6, bytes([version]))
    if version > zipfile.MAX_EXTRACT_VERSION:
        assert "the directory at its end is missing or damaged" in refusal(data)
    else:
        (tmp_path / "model.pth").write_bytes(data)
        assert read_checkpoint(tmp_path / "model.pth").content["a"].numpy().tolist() == [0, 0, 0, 0]


def directory_entry(data, name):
    """Returns where the directory of an archive describes an entry."""
    return data.rindex(name.encode()) - 46


@pytest.mark.parametrize("offset", [1, 0x7FFFFFF0, 0xFFFFFFFE])
def test_entries_outside_of_the_file_are_refused(offset, tmp_path, refusal):
    whole = stored_zip(tmp_path)
    place = directory_entry(whole, "model/data/0") + 42
    assert "its entry 'model/data/0' lies outside of the file" in refusal(
        changed(whole, place, struct.pack("<I", offset))
    )


@pytest.mark.parametrize(("field", "size"), [(20, 1 << 30), (24, 1 << 30), (20, 15), (24, 15)])
def test_sizes_that_are_not_those_of_the_entry_are_refused(field, size, tmp_path, refusal):
    whole = stored_zip(tmp_path)
    place = directory_entry(whole, "model/data/0") + field
    assert "its entry 'model/data/0'" in refusal(changed(whole, place, struct.pack("<I", size)))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compressions_are_refused(method, tmp_path, refusal):
    with zipfile.ZipFile(tmp_path / "model.pth", "w", method) as archive:
        archive.writestr("model/data.pkl", pickled({}))
    assert "is compressed in another way than deflate" in refusal(tmp_path / "model.pth")


def write_bomb(path, unpacked_bytes, quoted_bytes, entries=1):
    """Writes an archive whose compressed entries of zeros quote another size."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block, packed, checksum = bytes(1 << 20), b"", 0
    for _ in range(unpacked_bytes >> 20):
        packed += packer.compress(block)
        checksum = zlib.crc32(block, checksum)
    packed += packer.flush()
    keys = "0abcdefghijklmnopqrs"[:entries]
    count = quoted_bytes // 4
    write_zip(path, [tensor(storage(key=key, count=count), size=(1,)) for key in keys], dict.fromkeys(keys, packed))
    data = path.read_bytes()
    for key in keys:
        place = directory_entry(data, f"model/data/{key}")
        data = changed(data, place + 10, struct.pack("<H", zipfile.ZIP_DEFLATED))
        data = changed(data, place + 16, struct.pack("<I", checksum))
        data = changed(data, place + 24, struct.pack("<I", quoted_bytes))
    path.write_bytes(data)
    return path


def test_bombs_are_not_unpacked(tmp_path, refusal):
    path = write_bomb(tmp_path / "model.pth", 1 << 25, 1 << 30)
    assert "its entries become 1073741824 bytes or more when unpacked" in refusal(path)


def test_bombs_that_quote_a_small_size_are_not_unpacked(tmp_path):
    path = write_bomb(tmp_path / "model.pth", 256 << 20, 4096)
    tracemalloc.start()
    try:
        with pytest.raises(ModelFileError, match="its entry 'model/data/0' is damaged"):
            read_checkpoint(path)
        assert tracemalloc.get_traced_memory()[1] < 1 << 23
    finally:
        tracemalloc.stop()


def test_entries_that_share_their_bytes_do_not_fill_the_memory(tmp_path, refusal):
    whole = write_bomb(tmp_path / "model.pth", 20 << 20, 20 << 20, 20).read_bytes()
    first = whole[directory_entry(whole, "model/data/0") + 42 :][:4]
    for key in "abcdefghijklmnopqrs":
        whole = changed(whole, directory_entry(whole, f"model/data/{key}") + 42, first)
    assert "bytes or more when unpacked" in refusal(whole)


def test_damaged_compressed_entries_are_refused(tmp_path, refusal):
    with zipfile.ZipFile(tmp_path / "model.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model/data.pkl", pickled({"a": "b" * 1000}))
    whole = (tmp_path / "model.pth").read_bytes()
    first = whole.index(b"model/data.pkl") + len("model/data.pkl")
    assert "its entry 'model/data.pkl' is damaged" in refusal(changed(whole, first + 3, b"\xff\xff"))


def test_a_huge_directory_is_refused(tmp_path, refusal):
    entry = struct.pack("<4s6H3I5H2I", b"PK\x01\x02", 20, 20, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0)
    directory = b"".join(entry + b"%08d" % i for i in range(400_000))
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, len(directory), 4, 0)
    assert f"its directory would take {len(directory)} bytes" in refusal(b"PK\x03\x04" + directory + end)


def test_an_unknown_byte_order_is_refused(tmp_path, refusal):
    path = write_zip(tmp_path / "model.pth", [tensor()], byteorder=b"middle")
    assert "its byte order is neither little nor big" in refusal(path)


@pytest.mark.filterwarnings("ignore:`torch.jit")
def test_torchscript_is_told(tmp_path, refusal):
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), tmp_path / "model.pt")
    assert "it is a TorchScript program, which only PyTorch can run; save the weights" in refusal(tmp_path / "model.pt")

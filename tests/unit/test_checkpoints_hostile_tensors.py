"""Tensors and storages that do not fit each other: each file is refused in a single sentence."""

import pytest

from rapidseg.checkpoints import read_checkpoint
from rapidseg.core.errors import ModelFileError
from rapidseg.importing import recognize_checkpoint
from tests.support.checkpoint_files import (
    Code,
    legacy_bytes,
    pickled,
    storage,
    tensor,
    write_zip,
)

TWINS = b"]q\x00" + b"".join(b"(h" + bytes([i]) + b"h" + bytes([i]) + b"lq" + bytes([i + 1]) for i in range(60))


HUGE = 1 << 62
TENSORS = {  # of a storage of 4 numbers
    "beyond its storage": (tensor(size=(5,)), "reaches to byte 20 of storage '0', which has 16"),
    "an offset beyond its storage": (tensor(offset=1), "reaches to byte 20 of storage '0'"),
    "strides beyond its storage": (tensor(size=(2, 2), stride=(3, 1)), "reaches to byte 20 of storage '0'"),
    "a negative size": (tensor(size=(-1,)), "a size, stride or offset of a tensor is negative"),
    "a negative stride": (tensor(stride=(-1,)), "a size, stride or offset of a tensor is negative"),
    "a negative offset": (tensor(offset=-1), "a size, stride or offset of a tensor is negative"),
    "a fraction": (tensor(size=(2.0,)), "negative, too large or not an integer"),
    "a truth": (tensor(size=(True,)), "negative, too large or not an integer"),
    "a text": (tensor(size="4"), "a tensor has no size or strides"),
    "sizes that hold themselves": (
        tensor(size=Code(b"]q\x09(h\x09e")),
        "a size, stride or offset of a tensor is negative, too large or not an integer",
    ),
    "twins of twins": (tensor(size=Code(TWINS)), "negative, too large or not an integer"),
    "more strides than sizes": (tensor(stride=(4, 1)), "1 sizes and 2 strides"),
    "33 axes": (tensor(size=(1,) * 33, stride=(1,) * 33), "a tensor has 33 axes; 32 are possible"),
    "thousands of axes": (tensor(size=(1,) * 3000, stride=(1,) * 3000), "32 are possible"),
    "an overflow": (tensor(size=(HUGE, 4), stride=(0, 0)), "negative, too large or not an integer"),
    "an overflow of a product": (tensor(size=(1 << 40, 1 << 40), stride=(0, 0)), "which is too large"),
    "an overflow beside an axis without entries": (
        tensor(size=(0, 1 << 60, 8), stride=(0, 0, 0)),
        "which is too large",
    ),
    "an overflow of a stride": (tensor(size=(1,), stride=(1 << 70,)), "negative, too large or not an integer"),
    "expanded without end": (tensor(size=(1 << 40,), stride=(0,)), "its tensors would take 4398046511104 bytes"),
}


@pytest.mark.parametrize("kind", TENSORS)
@pytest.mark.parametrize("form", ["zip", "legacy"])
def test_tensors_that_are_not_in_their_storage_are_refused(kind, form, tmp_path, refusal):
    instructions, reason = TENSORS[kind]
    content = {"a": instructions}
    file = write_zip(tmp_path / "model.pth", content) if form == "zip" else legacy_bytes(content, ["0"], (4, bytes(16)))
    assert reason in refusal(file)


@pytest.mark.parametrize("twins", ["many tensors", "one tensor of many names", "tensors in a list"])
def test_expanded_tensors_do_not_fill_the_memory(twins, tmp_path, refusal):
    large = tensor(size=(1 << 20,), stride=(0,))
    if twins == "many tensors":
        content = {str(i): large for i in range(100)}
    elif twins == "tensors in a list":
        content = {"a": [large] * 100}
    else:
        content = {"first": Code(large.data + b"q\x05"), **{str(i): Code(b"h\x05") for i in range(100)}}
    assert "its tensors would take 4" in refusal(write_zip(tmp_path / "model.pth", content))


def test_a_few_expanded_tensors_are_read(tmp_path):
    content = {str(i): tensor(size=(1 << 20,), stride=(0,)) for i in range(10)}
    read = read_checkpoint(write_zip(tmp_path / "model.pth", content)).content
    assert all(not value.numpy().any() for value in read.values())


def test_storages_of_two_sizes_or_types_are_refused(tmp_path, refusal):
    for other in (storage(count=3), storage("torch.IntStorage")):
        content = [tensor(), tensor(other, size=(1,))]
        assert "storage '0' has two types or sizes" in refusal(write_zip(tmp_path / "model.pth", content))
        assert "storage '0' has two types or sizes" in refusal(legacy_bytes(content, ["0"], (4, bytes(16))))


LEGACY = {
    "another version": (b"".join(map(pickled, (0x1950A86A20F9469CFC6C, 1002))), "has a version 1002; 1001 is known"),
    "a version of twins": (pickled(0x1950A86A20F9469CFC6C) + TWINS + b".", "has a version that is not a number"),
    "no storages": (legacy_bytes([tensor()], ["0"]), "elements, which is not its size"),
    "another number of elements": (legacy_bytes([tensor()], ["0"], (5, bytes(20))), "storage '0' has 5 elements"),
    "storages that are cut": (legacy_bytes([tensor()], ["0"], (4, bytes(15))), "it ends too early"),
    "a storage without bytes": (legacy_bytes([tensor()], []), "the bytes of 1 storages are missing"),
    "a storage that nobody uses": (legacy_bytes([tensor()], ["0", "1"], (4, bytes(16))), "that no tensor uses"),
    "names that are not a list": (legacy_bytes([tensor()], {}), "the names of its storages are missing"),
    "a huge name": (legacy_bytes([tensor()], [1 << 20000]), "a storage has no name"),
    "a view outside": (
        legacy_bytes([tensor(storage("torch.FloatStorage", "0", 4, ("v", 2, 3)))], ["0"], (4, bytes(16))),
        "a view of storage '0' lies outside of it",
    ),
    "a negative view": (
        legacy_bytes([tensor(storage("torch.FloatStorage", "0", 4, ("v", -1, 2)))], ["0"], (4, bytes(16))),
        "a view of storage '0' lies outside of it",
    ),
    "a view of a fraction": (
        legacy_bytes([tensor(storage("torch.FloatStorage", "0", 4, ("v", 0.5, 2)))], ["0"], (4, bytes(16))),
        "a view of storage '0' has no place",
    ),
    "a pickle alone": (pickled([tensor()]), "a pickle without the bytes of its tensors"),
}


@pytest.mark.parametrize("kind", LEGACY)
def test_damaged_files_of_the_older_format_are_refused(kind, refusal):
    data, reason = LEGACY[kind]
    assert reason in refusal(data)


@pytest.mark.parametrize("shape", [(), (0,), (1, 2), (1 << 20,)])
def test_a_classifier_of_any_shape_is_explained(shape, tmp_path):
    content = {"classifier.conv.1.weight": tensor(size=shape, stride=(0,) * len(shape))}
    with pytest.raises(ModelFileError, match=r"unknown tensor names\. The nearest layout, fast-scnn of Tramac"):
        recognize_checkpoint(write_zip(tmp_path / "model.pth", content), note=print)

"""Files of weights that PyTorch and safetensors write are read exactly, without either."""

import argparse
import collections
import io
import pickle
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch
import torch

from rapidseg.checkpoints import OpaqueValue, StoredTensor, read_checkpoint
from tests.support.checkpoint_files import (
    called,
    legacy_bytes,
    named,
    pickled,
    storage,
    tensor,
    write_zip,
)

FORMATS = ("zip", "legacy")
EVERYWHERE = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16]
EVERYWHERE += [torch.int8, torch.uint8, torch.bool, torch.complex64, torch.complex128]
UNTYPED = [torch.uint16, torch.uint32, torch.uint64]


@pytest.fixture
def read(tmp_path):
    """Saves a content in a format and reads it."""

    def read(content, form="zip"):
        torch.save(content, tmp_path / "model.pth", _use_new_zipfile_serialization=form == "zip")
        return read_checkpoint(tmp_path / "model.pth")

    return read


def values_of(dtype, count=24):
    """Returns values that use all bits of a type, NaN apart."""
    generator = torch.Generator().manual_seed(0)
    if dtype == torch.bool:
        return torch.rand(count, generator=generator) > 0.5
    if dtype.is_complex:
        return torch.randn(count, dtype=dtype, generator=generator)
    if dtype.is_floating_point:
        extremes = [torch.finfo(dtype).max, torch.finfo(dtype).tiny / 4, -0.0, float("inf")]
        numbers = torch.randn(count - len(extremes), dtype=torch.float64, generator=generator).to(dtype)
        return torch.cat([numbers, torch.tensor(extremes, dtype=torch.float64).to(dtype)])
    return torch.randint(0, 256, (count * 8,), dtype=torch.uint8, generator=generator).view(dtype)[:count]


def same_values(stored, expected):
    """Whether a tensor of a file has the values of PyTorch's; half precision comes as float32."""
    assert isinstance(stored, StoredTensor)
    assert f"torch.{stored.dtype}" == str(expected.dtype)
    assert stored.shape == tuple(expected.shape)
    half = expected.dtype in (torch.float16, torch.bfloat16)
    wanted = (expected.float() if half else expected).detach().resolve_conj().numpy()
    values = stored.numpy()
    assert values.dtype == wanted.dtype
    assert values.dtype.isnative
    assert values.shape == wanted.shape
    return values.tobytes() == np.ascontiguousarray(wanted).tobytes()


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("dtype", EVERYWHERE, ids=str)
def test_every_type_is_read_exactly(form, dtype, read):
    expected = values_of(dtype)
    assert same_values(read({"a": expected}, form).content["a"], expected)


@pytest.mark.parametrize("dtype", UNTYPED, ids=str)
def test_types_without_a_typed_storage_are_read_exactly(dtype, read):
    expected = values_of(dtype).view(4, 6)[1:, ::2]
    assert same_values(read({"a": expected}).content["a"], expected)


@pytest.mark.parametrize("dtype", [dtype for dtype in (*EVERYWHERE, *UNTYPED) if dtype != torch.complex128], ids=str)
def test_every_type_of_safetensors_is_read_exactly(dtype, tmp_path):
    expected = values_of(dtype).view(2, 3, 4)
    safetensors.torch.save_file({"a": expected, "b": expected[0, 0, 0].clone()}, tmp_path / "a.safetensors")
    content = read_checkpoint(tmp_path / "a.safetensors").content
    assert same_values(content["a"], expected)
    assert same_values(content["b"], expected[0, 0, 0])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_precision_becomes_float32_exactly_for_all_values(dtype, read):
    every = torch.arange(1 << 16, dtype=torch.int32).to(torch.uint16).view(dtype)
    stored = read({"a": every}).content["a"]
    numbers = ~every.isnan()
    assert np.array_equal(stored.numpy()[numbers.numpy()], every[numbers].float().numpy())
    assert np.isnan(stored.numpy()[~numbers.numpy()]).all()


BASE = torch.arange(60.0).view(3, 4, 5)
VIEWS = {
    "transposed": BASE.transpose(0, 2),
    "an offset": BASE[1, 2:],
    "steps": BASE[::2, :, 1::3],
    "channels last": torch.arange(120.0).view(2, 3, 4, 5).contiguous(memory_format=torch.channels_last),
    "a single number": BASE[1, 1, 1],
    "0-d": torch.tensor(3.5),
    "empty": torch.zeros(0),
    "empty with axes": torch.zeros(3, 0, 5),
    "expanded": torch.tensor([[1.0], [2.0]]).expand(2, 1000),
    "sizes of 1": BASE[:1, :1, :1],
    "overlapping": torch.arange(10.0).as_strided((4, 3), (2, 1), 1),
}


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("view", VIEWS)
def test_views_have_their_shapes_strides_and_offsets(form, view, read):
    expected = VIEWS[view]
    stored = read([expected], form).content[0]
    assert same_values(stored, expected)
    assert (stored.strides, stored.offset) == (expected.stride(), expected.storage_offset())


@pytest.mark.parametrize("form", FORMATS)
def test_views_of_one_storage_share_it(form, read):
    content = read({"all": BASE, "row": BASE[1], "other": BASE + 1}, form).content
    assert content["all"].storage is content["row"].storage
    assert content["all"].storage is not content["other"].storage
    assert same_values(content["row"], BASE[1])
    assert content["all"].equals(content["all"])
    assert not content["all"].equals(content["other"])
    assert not content["all"].equals(content["row"])


class Marked(torch.Tensor):
    """A tensor of a class of its own."""


@pytest.mark.parametrize("form", FORMATS)
def test_parameters_and_subclasses_are_tensors(form, read):
    with_attribute = torch.nn.Parameter(torch.ones(3))
    with_attribute.is_shared = True
    content = {
        "parameter": torch.nn.Parameter(torch.arange(3.0)),
        "integers": torch.nn.Parameter(torch.arange(3), requires_grad=False),
        "parameter with an attribute": with_attribute,
        "buffer": torch.nn.Buffer(torch.arange(4.0)),
        "subclass": torch.arange(6.0).view(2, 3).as_subclass(Marked),
    }
    stored = read(content, form).content
    for name, expected in content.items():
        assert same_values(stored[name], expected.detach().as_subclass(torch.Tensor))


@pytest.mark.parametrize("form", FORMATS)
def test_a_state_dict_with_its_versions_is_a_dictionary(form, read):
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    state = network.state_dict()
    assert state._metadata
    checkpoint = read({"state_dict": state, "epoch": 3, "lr": 0.1, "names": ["a", "b"], "none": None}, form)
    stored = checkpoint.content
    assert list(stored["state_dict"]) == list(state)
    assert all(same_values(stored["state_dict"][name], state[name]) for name in state)
    assert {key: value for key, value in stored.items() if key != "state_dict"} == {
        "epoch": 3,
        "lr": 0.1,
        "names": ["a", "b"],
        "none": None,
    }
    assert checkpoint.opaque == ()


class Settings:
    """An object that training scripts put beside the weights."""

    def __init__(self):
        self.lr = 0.1
        self.weights = torch.ones(3)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("protocol", [1, 2, 4])
def test_objects_beside_the_weights_are_skipped_and_named(form, protocol, tmp_path):
    content = {
        "args": argparse.Namespace(lr=0.1, names=["a"]),
        "settings": Settings(),
        "scores": collections.defaultdict(list, a=[1]),
        "array": np.ones(3),
        "seen": {1, 2},
        "state_dict": collections.OrderedDict(a=torch.arange(3.0)),
    }
    torch.save(
        content,
        tmp_path / "model.pth",
        pickle_protocol=protocol,
        _use_new_zipfile_serialization=form == "zip",
    )
    checkpoint = read_checkpoint(tmp_path / "model.pth")
    assert same_values(checkpoint.content["state_dict"]["a"], torch.arange(3.0))
    assert isinstance(checkpoint.content["args"], OpaqueValue)
    assert checkpoint.content["args"].name == "argparse.Namespace"
    assert checkpoint.content["settings"].name == f"{__name__}.Settings"
    assert {"argparse.Namespace", f"{__name__}.Settings"} < set(checkpoint.opaque)
    assert checkpoint.content["scores"] == {"a": [1]}


@pytest.mark.parametrize("form", FORMATS)
def test_names_that_are_values_are_opaque(form, read):
    content = read({"dtype": torch.float32, "class": torch.nn.Linear, "storage": torch.FloatStorage}, form).content
    assert {key: value.name for key, value in content.items()} == {
        "dtype": "torch.float32",
        "class": "torch.nn.modules.linear.Linear",
        "storage": "torch.FloatStorage" if form == "legacy" else content["storage"].name,
    }


def unreadable_tensors():
    """Returns tensors that are more than the bytes of a storage, and a part of what they are named after."""
    return {
        "meta": (torch.ones(3, device="meta"), "meta"),
        "sparse": (torch.eye(3).to_sparse(), "sparse"),
        "float8": (torch.ones(3).to(torch.float8_e4m3fn), "float8"),
        "nested": (torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]), "nested"),
        "conjugated": (torch.ones(3, dtype=torch.complex64).conj(), "conj"),
        "negated": (torch.ones(3, dtype=torch.complex64).conj().imag, "neg"),
    }


@pytest.mark.filterwarnings("ignore")  # PyTorch's warning that nested tensors are a prototype
@pytest.mark.parametrize("kind", ["meta", "sparse", "float8", "nested", "conjugated", "negated"])
def test_tensors_that_are_more_than_a_storage_are_skipped_and_named(kind, read):
    value, name = unreadable_tensors()[kind]
    checkpoint = read({"other": torch.arange(3.0), "a": value})
    assert isinstance(checkpoint.content["a"], OpaqueValue)
    assert any(name in opaque for opaque in checkpoint.opaque)
    assert same_values(checkpoint.content["other"], torch.arange(3.0))


@pytest.mark.parametrize("form", FORMATS)
def test_quantized_tensors_are_skipped_and_named(form, tmp_path):
    quantized = called(
        "torch._utils._rebuild_qtensor",
        storage("torch.QInt8Storage"),
        0,
        (4,),
        (1,),
        (named("torch.per_tensor_affine"), 0.1, 0),
        False,
        called("collections.OrderedDict"),
    )
    content = {"a": quantized, "b": tensor(storage(key="1"))}
    if form == "zip":
        write_zip(tmp_path / "model.pth", content, {"0": bytes(4), "1": bytes(16)})
    else:
        (tmp_path / "model.pth").write_bytes(legacy_bytes(content, ["1"], (4, bytes(16))))
    checkpoint = read_checkpoint(tmp_path / "model.pth")
    assert checkpoint.opaque == ("torch.QInt8Storage", "torch._utils._rebuild_qtensor")
    assert isinstance(checkpoint.content["a"], OpaqueValue)
    assert np.array_equal(checkpoint.content["b"].numpy(), np.zeros(4, np.float32))


@pytest.mark.parametrize("order", ["little", "big", None])
def test_the_byte_order_of_an_archive_is_heeded(order, tmp_path):
    sign = ">" if order == "big" else "<"
    storages = {
        "0": np.arange(4, dtype=f"{sign}f4").tobytes(),
        "1": np.arange(4, dtype=f"{sign}i8").tobytes(),
        "2": (np.arange(4, dtype="f4").view("u4") >> 16).astype(f"{sign}u2").tobytes(),
        "3": np.arange(4, dtype=f"{sign}c16").tobytes(),
    }
    types = ("Float", "Long", "BFloat16", "ComplexDouble")
    content = [tensor(storage(f"torch.{name}Storage", str(key))) for key, name in enumerate(types)]
    entries = {} if order is None else {"byteorder": order.encode()}
    for stored in read_checkpoint(write_zip(tmp_path / "model.pth", content, storages, **entries)).content:
        assert np.array_equal(stored.numpy(), np.arange(4))
        assert stored.numpy().dtype.isnative


@pytest.mark.parametrize("count_order", ["<", ">"])
def test_older_files_of_big_endian_machines_are_read(count_order, tmp_path):
    data = legacy_bytes([tensor()], ["0"], little_endian=False)
    data += struct.pack(f"{count_order}Q", 4) + np.arange(4, dtype="<f4").tobytes()
    (tmp_path / "model.pth").write_bytes(data)
    assert np.array_equal(read_checkpoint(tmp_path / "model.pth").content[0].numpy(), np.arange(4))


def test_archives_that_were_packed_again_are_read(read, tmp_path):
    state = {"a": torch.arange(1000.0), "b": torch.zeros(100_000)}
    read(state)
    with (
        zipfile.ZipFile(tmp_path / "model.pth") as source,
        zipfile.ZipFile(tmp_path / "packed.pth", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for name in source.namelist():
            packed.writestr(name, source.read(name))
    assert (tmp_path / "packed.pth").stat().st_size < 20_000
    content = read_checkpoint(tmp_path / "packed.pth").content
    assert all(same_values(content[name], state[name]) for name in state)


def test_older_files_with_views_of_storages_are_read(tmp_path):
    view = tensor(storage("torch.FloatStorage", "root", 6, ("part", 2, 3)), 1, (2,), (1,))
    content = {"view": view, "all": tensor(storage("torch.FloatStorage", "root", 6, None), 0, (2, 3), (3, 1))}
    data = legacy_bytes(content, ["root"], (6, np.arange(6, dtype="<f4").tobytes()))
    (tmp_path / "model.pth").write_bytes(data)
    stored = read_checkpoint(tmp_path / "model.pth").content
    assert np.array_equal(stored["view"].numpy(), [3, 4])
    assert np.array_equal(stored["all"].numpy(), np.arange(6).reshape(2, 3))


def test_files_of_python_2_are_read(tmp_path):
    ordered = b"ccollections\nOrderedDict\n((lp1\n(lp2\nS'a.weight'\np3\na"  # protocol 0, as cPickle wrote it
    part = b"(S'storage'\nctorch\nFloatStorage\nS'0'\nS'cpu'\nL4L\nNtQ"
    made = b"ctorch._utils\n_rebuild_tensor\n(" + part + b"I0\n(I2\nI2\nt(I2\nI1\nttRp4\naatR"
    entries = b"(dp0\nS'state_dict'\n" + ordered + made + b"sS'best'\nF0.5\nsU\x02upI01\nsV\\u00e9t\\xe9\nI-7\ns."
    facts = b"(dS'little_endian'\nI01\ns."
    data = b"L119547037146038801333356L\n." + b"I1001\n." + facts + entries + b"(lS'0'\na."
    (tmp_path / "model.pth").write_bytes(data + struct.pack("<Q4f", 4, 0, 1, 2, 3))
    content = read_checkpoint(tmp_path / "model.pth").content
    assert content.keys() == {"state_dict", "best", "up", "\u00e9t\\xe9"}
    assert (content["best"], content["up"], content["\u00e9t\\xe9"]) == (0.5, True, -7)
    assert np.array_equal(content["state_dict"]["a.weight"].numpy(), [[0, 1], [2, 3]])


def test_old_classes_of_python_2_are_skipped_and_named(tmp_path):
    instance = b"(iargparse\nNamespace\np1\n(dp2\nS'lr'\nF0.1\nsb"
    made = b"(cargparse\nNamespace\no"
    (tmp_path / "model.pth").write_bytes(b"(dS'a'\n" + instance + b"sS'b'\n" + made + b"s.")
    checkpoint = read_checkpoint(tmp_path / "model.pth")
    assert [value.name for value in checkpoint.content.values()] == ["argparse.Namespace"] * 2
    assert checkpoint.opaque == ("argparse.Namespace",)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_values_are_those_of_python(protocol, tmp_path):
    content = {
        "texts": ["", "a", "\u00e9\u4e2d\U0001f600", "x" * 300, "line\nline"],
        "numbers": [0, -1, 255, 256, 65535, -70000, 2**31, -(2**63), 2**200, 0.1, -0.0, float("inf"), True, False],
        "tuples": [(), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)],
        "nested": {"a": {"b": [{}, [], None]}},
        "ordered": collections.OrderedDict(b=1, a=2),
        7: "a number",
        None: "none",
    }
    content["again"] = content["texts"]
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(content, protocol))
    stored = read_checkpoint(tmp_path / "model.pkl").content
    assert stored == content
    assert stored["again"] is stored["texts"]


def test_keys_that_are_not_names_stay_apart(tmp_path):
    content = {(1, 2): "a", (1, 3): "b", "x" * 10_000: "c", "\x1b[31m": "d", 2**61: "e", 0.5: "f"}
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(content))
    stored = read_checkpoint(tmp_path / "model.pkl").content
    assert list(stored.values()) == list("abcdef")
    assert [key.name for key in stored] == ["tuple", "tuple", "str", "str", "int", "float"]


def test_bools_other_than_0_and_1_are_true(tmp_path):
    path = write_zip(tmp_path / "a.pth", [tensor(storage("torch.BoolStorage"))], {"0": bytes([0, 1, 2, 255])})
    assert read_checkpoint(path).content[0].numpy().tolist() == [False, True, True, True]


def test_names_may_have_any_printable_characters(tmp_path):
    state = {"conv\u00e9.weight": torch.ones(2), "a b": torch.ones(3)}
    safetensors.torch.save_file(state, tmp_path / "a.safetensors", {"\u4e2d": "caf\u00e9\n"})
    checkpoint = read_checkpoint(tmp_path / "a.safetensors")
    assert checkpoint.content.keys() == state.keys()
    assert checkpoint.metadata == {"\u4e2d": "caf\u00e9\n"}


@pytest.mark.parametrize("name", ["a.safetensors", "a.pth", "a"])
def test_formats_are_recognized_by_their_content(name, tmp_path):
    for write in (
        lambda state, path: path.write_bytes(safetensors.torch.save(state)),
        torch.save,
        lambda state, path: torch.save(state, path, _use_new_zipfile_serialization=False),
    ):
        write({"a": torch.arange(3.0)}, tmp_path / name)
        if name.endswith(".safetensors") and (tmp_path / name).read_bytes()[:2] == b"\x80\x02":
            continue  # the older format has no magic number at its beginning
        assert same_values(read_checkpoint(tmp_path / name).content["a"], torch.arange(3.0))


def test_a_header_whose_length_looks_like_a_web_page_is_safetensors(tmp_path):
    start = b" <"  # the length of the header, 0x3c20
    length = int.from_bytes(start, "little")
    state = {"a": np.arange(3.0)}
    whole = safetensors.numpy.save(state)
    size = int.from_bytes(whole[:8], "little")
    data = length.to_bytes(8, "little") + whole[8 : 8 + size].ljust(length) + whole[8 + size :]
    assert data.startswith(start)
    (tmp_path / "model").write_bytes(data)
    assert np.array_equal(read_checkpoint(tmp_path / "model").content["a"].numpy(), state["a"])


@pytest.mark.parametrize("form", ["zip", "legacy", "safetensors"])
def test_values_are_read_from_disk_when_they_are_asked_for(form, tmp_path):
    path, state = tmp_path / "model", {"a": torch.ones(8 << 20)}
    if form == "safetensors":
        safetensors.torch.save_file(state, path)
    else:
        torch.save(state, path, _use_new_zipfile_serialization=form == "zip")
    tracemalloc.start()
    try:
        stored = read_checkpoint(path).content["a"]
        view = stored.numpy()[::1000]
        assert view.sum() == len(view)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
    assert not stored.numpy().flags.writeable


def test_a_buffer_is_not_changed_by_what_reads_it(tmp_path):
    buffer = io.BytesIO()
    torch.save({"a": torch.ones(3, dtype=torch.float16)}, buffer)
    (tmp_path / "a.pth").write_bytes(buffer.getvalue())
    stored = read_checkpoint(tmp_path / "a.pth").content["a"]
    stored.numpy()[:] = 7  # half precision is a copy
    assert stored.numpy().tolist() == [1, 1, 1]
    assert (tmp_path / "a.pth").read_bytes() == buffer.getvalue()


def test_an_empty_pickle_of_plain_values_is_a_checkpoint_without_tensors(tmp_path):
    (tmp_path / "a.pth").write_bytes(pickled({"epoch": 3}))
    assert read_checkpoint(tmp_path / "a.pth").content == {"epoch": 3}

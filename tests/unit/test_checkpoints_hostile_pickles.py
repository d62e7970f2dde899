"""Pickles that are damaged, endless or full of code: each is refused in a single sentence or read without the code."""

import os
import pickle
import struct
import sys
import tracemalloc

import numpy as np
import pytest
import torch

from rapidseg.checkpoints import OpaqueValue, read_checkpoint
from tests.support.checkpoint_files import (
    Code,
    assemble,
    called,
    legacy_bytes,
    named,
    storage,
    tensor,
    write_zip,
)


def text(value):
    return assemble(value)


def repeated(setup, step, count):
    """Returns a pickle that keeps values and then uses them many times."""
    return setup + step * count + b"."


PICKLES = {  # instructions, and what is said about them
    "a memo index in the middle of nowhere": (b"Nr\xff\xff\xff\xffj\xfe\xff\xff\xff.", "used before it is made"),
    "a memo index of many digits": (b"Np" + b"9" * 100_000 + b"\n.", "too many digits"),
    "an integer beyond the file": (b"\x8b\xff\xff\xff\x7f\x00.", "an integer has 2147483647 bytes"),
    "an integer of negative length": (b"\x8b\xff\xff\xff\xff\x00.", "it ends too early"),
    "an integer of a million bytes": (b"\x8b\x40\x42\x0f\x00" + bytes(10**6) + b".", "an integer has 1000000 bytes"),
    "an integer of many digits": (b"L" + b"9" * 100_000 + b"L\n.", "too many digits"),
    "a number that is a word": (b"Ione\n.", "'one' is not an integer"),
    "a fraction that is a word": (b"Fone\n.", "'one' is not a number"),
    "bytes beyond the file": (b"\x8e" + b"\xff" * 8 + b"abc.", "it ends too early"),
    "a text beyond the file": (b"\x8d" + b"\xff" * 8 + b"abc.", "it ends too early"),
    "a text of negative length": (b"T\xff\xff\xff\xffabc.", "it ends too early"),
    "a text that is not UTF-8": (b"X\x02\x00\x00\x00\xff\xff.", "a text is damaged"),
    "a text without quotes": (b"Sabc\n.", "a text has no quotes"),
    "no end": (b"N", "it ends too early"),
    "no value": (b".", "its stack is empty"),
    "no mark": (b"Nt.", "a mark is missing"),
    "a dictionary without a value": (b"(Nd.", "a key has no value"),
    "a dictionary of something else": (
        assemble(called("collections.OrderedDict", [(1, 2, 3)])) + b".",
        "else than pairs",
    ),
    "keys for a number": (b"K\x01(NNu.", "keys for something that is not a dictionary"),
    "items for a dictionary": (b"}(Ne.", "items for something that is not a list"),
    "attributes for a number": (b"K\x01Nb.", "attributes for a plain value"),
    "a call of a number": (b"K\x01)R.", "a call of something that is not a function"),
    "a call without arguments": (named("collections.OrderedDict").data + b"K\x01R.", "a function has no arguments"),
    "a call with other arguments": (named("torch._utils._rebuild_tensor_v2").data + b")R.", "the wrong arguments"),
    "an object without a class": (b"(o.", "an object has no class"),
    "a name that is a number": (b"K\x01K\x02\x93.", "a name is not text"),
    "a name with control characters": (b"cos\n\x1b[31msystem\n)R.", "a name is too long or not printable"),
    "a name without end": (text("os") + text("x" * 10_000) + b"\x93.", "a name is too long or not printable"),
    "an extension": (b"\x82\x01.", "unknown instruction 0x82"),
    "a buffer outside of the file": (b"\x97.", "unknown instruction 0x97"),
    "an id in text": (b"Pfile:///etc/passwd\n.", "unknown instruction 0x50"),
    "an id that is a text": (text("/etc/passwd") + b"Q.", "refers to something outside of the file"),
    "an id of another kind": (
        text(("file", "/etc/passwd", 0, 0, 0)) + b"Q.",
        "refers to something outside of the file",
    ),
    "an id that is too short": (text(("storage", 1)) + b"Q.", "refers to something outside of the file"),
    "a storage without a type": (text(("storage", 1, "0", "cpu", 4)) + b"Q.", "a storage has no type"),
    "a storage of negative size": (storage(count=-4).data + b".", "a storage has no size"),
    "a storage whose size is a truth": (storage(count=True).data + b".", "a storage has no size"),
    "a storage without a name": (storage(key=None).data + b".", "a storage has no name"),
    "a tensor of a list": (tensor(Code(b"]")).data + b".", "no storage of a known type"),
    "a tensor made by a number": (
        called("torch._tensor._rebuild_from_type_v2", 1, 2, (), None).data + b".",
        "made by something that is not a function",
    ),
    "a tensor that makes itself": (
        named("torch._tensor._rebuild_from_type_v2").data + b"q\x00(h\x00N](h\x00Nh\x01eq\x01tR.",
        "used before it is made",
    ),
    "a tensor made by what makes tensors": (
        named("torch._tensor._rebuild_from_type_v2").data + b"q\x00(h\x00NNNtR.",
        "made by something that is not a function",
    ),
}

MANY = 10_000
ENDLESS = {  # small files that would take much time or memory: what is kept once is used again and again
    "copies of a dictionary": repeated(
        b"}("
        + b"".join(b"J" + struct.pack("<i", i) + b"N" for i in range(MANY))
        + b"uq\x010"
        + named("collections.OrderedDict").data
        + b"q\x02(h\x01tq\x03",
        b"h\x02h\x03R0",
        MANY,
    ),
    "copies of a list": repeated(
        b"](" + b"N" * MANY + b"eq\x010" + named("torch.Size").data + b"q\x02(h\x01tq\x03", b"h\x02h\x03R0", MANY
    ),
    "many arguments": repeated(
        b"(" + b"N" * MANY + b"tq\x010" + named("collections.defaultdict").data + b"q\x02", b"h\x02h\x01R0", MANY
    ),
    "copies of a dictionary as a tensor of another class": repeated(
        b"}("
        + b"".join(b"J" + struct.pack("<i", i) + b"N" for i in range(MANY))
        + b"uq\x010"
        + named("torch._tensor._rebuild_from_type_v2").data
        + b"q\x02("
        + named("collections.OrderedDict").data
        + b"N(h\x01ttq\x03",
        b"h\x02h\x03R0",
        MANY,
    ),
    "names of two parts": repeated(
        text("m" * 500) + b"q\x01" + text("n" * 500) + b"q\x02", b"h\x01h\x02\x93", MANY * 10
    ),
    "storages": repeated(
        text(("storage", named("torch.FloatStorage"), "0", "cpu", 0)) + b"q\x01", b"h\x01Q", MANY * 10
    ),
    "marks": b"(" * MANY * 10,
    "dictionaries": b"}" * MANY * 10,
    "texts of one byte": b"U\x01a" * MANY * 10,
}


@pytest.mark.parametrize("kind", PICKLES)
@pytest.mark.parametrize("form", ["bare", "zip"])
def test_damaged_pickles_are_refused(kind, form, tmp_path, refusal):
    instructions, reason = PICKLES[kind]
    file = write_zip(tmp_path / "model.pth", instructions) if form == "zip" else instructions
    message = refusal(file)
    assert reason in message
    assert message.startswith(" is not a readable PyTorch checkpoint (")
    assert message.endswith("); if it is incomplete, download or copy it again")


@pytest.mark.parametrize("kind", ENDLESS)
def test_small_pickles_take_little_time_and_memory(kind, tmp_path, monkeypatch, refusal):
    monkeypatch.setattr("rapidseg.checkpoints.unpickler.MAX_VALUES", 50_000)
    tracemalloc.start()
    try:
        reason = refusal(write_zip(tmp_path / "model.pth", ENDLESS[kind], {"0": b""}))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert "it holds more than 50000 values; save only the weights" in reason
    assert peak < 20 << 20


@pytest.mark.slow
@pytest.mark.parametrize("instruction", [b"(", b"}", b"]", b"U\x01a", b"N\x94"])
def test_the_largest_pickles_take_seconds(instruction, refusal):
    resource = pytest.importorskip("resource")  # not on Windows
    unit = 1 if sys.platform == "darwin" else 1024
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert "it holds more than 2000000 values" in refusal(instruction * 3_000_000)
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit < 1 << 29


@pytest.mark.parametrize("opcode", b"P\x82\x83\x84\x97\x98")
def test_instructions_for_objects_outside_of_the_file_are_unknown(opcode, refusal):
    assert f"unknown instruction {opcode:#04x}" in refusal(b"N" + bytes([opcode]) + b"\x01\x00\x00\x00\n.")


class Runs:
    """Calls a function when it is read by a reader that trusts the file."""

    def __init__(self, function, *arguments, state=None):
        self.call = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self):
        return self.call


HARM = {
    "a function": Runs(os.mkdir, "canary"),
    "evaluated text": Runs(eval, "__import__('os').mkdir('canary')"),
    "an attribute of an attribute": Runs(getattr, os, "mkdir"),
    "attributes": Runs(torch.nn.Identity, state={"__class__": Runs(os.mkdir, "canary")}),
    "NumPy's reader": Runs(np.load, "canary", None, True),
    "a function in a tensor": Runs(torch._utils._rebuild_tensor_v2, Runs(os.mkdir, "canary"), 0, (1,), (1,), False, {}),
    "a function as a hook": Runs(torch._utils._rebuild_parameter, torch.ones(2), True, Runs(os.mkdir, "canary")),
    "a function as a maker": Runs(torch._tensor._rebuild_from_type_v2, os.mkdir, torch.Tensor, ("canary",), {}),
}


@pytest.mark.parametrize("harm", HARM)
@pytest.mark.parametrize("form", ["zip", "legacy"])
def test_no_function_of_a_file_is_called(harm, form, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if harm == "an attribute of an attribute":
        content = {"a": Code(called("builtins.getattr", named("os.path"), "mkdir").data + assemble(("canary",)) + b"R")}
        if form == "zip":
            write_zip(tmp_path / "model.pth", content)
        else:
            (tmp_path / "model.pth").write_bytes(legacy_bytes(content, []))
    else:
        torch.save({"a": HARM[harm]}, tmp_path / "model.pth", _use_new_zipfile_serialization=form == "zip")
    checkpoint = read_checkpoint(tmp_path / "model.pth")
    assert checkpoint.opaque or harm == "a function as a hook"
    assert harm == "a function as a hook" or isinstance(checkpoint.content["a"], OpaqueValue)
    assert [path.name for path in tmp_path.iterdir()] == ["model.pth"]


def test_names_that_look_like_known_ones_are_opaque(tmp_path):
    names = (
        "torch._utils._rebuild_tensor_v2.__globals__",
        "torch._utils.os.system",
        "collections.OrderedDict.fromkeys",
        "torch.storage._load_from_bytes",
        "torch.Size.__class__",
        "builtins.dict",
        "torch.load",
    )
    for name in names:
        module, _, last = name.partition(".") if name.startswith("builtins") else name.rpartition(".")
        data = b"\x80\x04}(" + text("a") + text(module) + text(last) + b"\x93" + text(()) + b"Ru."
        (tmp_path / "model.pth").write_bytes(data)
        checkpoint = read_checkpoint(tmp_path / "model.pth")
        assert checkpoint.opaque == (name,)
        assert isinstance(checkpoint.content["a"], OpaqueValue)


def test_content_that_holds_itself_ends(tmp_path):
    content = {"a": {}, "b": [], "t": torch.ones(2)}
    content["a"]["self"] = content
    content["b"].append(content["b"])
    torch.save(content, tmp_path / "model.pth")
    read = read_checkpoint(tmp_path / "model.pth").content
    assert read["a"]["self"] is read
    assert read["b"][0] is read["b"]


def test_content_that_is_nested_deeply_ends(tmp_path):
    for opening in (b"(" * 100_000 + b"N" + b"t" * 100_000, b"]" * 100_000 + b"a" * 99_999):
        (tmp_path / "model.pkl").write_bytes(opening + b".")
        assert isinstance(read_checkpoint(tmp_path / "model.pkl").content, (list, tuple))


def test_content_of_nothing_but_code_is_refused(refusal):
    message = refusal(pickle.dumps(Runs(os.mkdir, "canary")))
    assert message.startswith(
        f": reading it needs {os.name}.mkdir, which is code, not a tensor; rapidseg never runs code"
    )
    assert "reading it needs torch.Size" in refusal(b"ctorch\nSize\n.")


def test_a_whole_network_of_the_older_format_is_named(tmp_path, refusal):
    torch.save(torch.nn.Linear(2, 2), tmp_path / "model.pth", _use_new_zipfile_serialization=False)
    assert "reading it needs torch.nn.modules.linear.Linear, which is code" in refusal(tmp_path / "model.pth")

"""Damaged files of weights, made from valid ones and from nothing; the same seed gives the same files."""

from __future__ import annotations

import io
import json
import pickletools
import random
import struct
import zipfile
from argparse import Namespace
from collections import OrderedDict
from collections.abc import Callable, Iterator

import safetensors.torch
import torch

from rapidseg.core.labels import CAMVID
from rapidseg.core.spec import SPEC_KEY, ModelSpec
from rapidseg.importing.layouts import LAYOUTS
from tests.support.checkpoint_files import (
    LEGACY_MAGIC,
    Code,
    assemble,
    called,
    named,
    pickled,
    safetensors_bytes,
    storage,
    tensor,
)

CANARY = "this-must-not-be-made"

_NUMBERS = (0, 1, 2, 4, 7, 8, 15, 16, 32, 63, 64, 127, 128, 255, 256, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)
_LARGE = (*_NUMBERS, 1 << 40, (1 << 62) - 1, 1 << 62, (1 << 63) - 1, (1 << 64) - 1)


def valid_files() -> list[bytes]:
    """Returns small files of all formats, with all that files of weights hold."""
    torch.manual_seed(0)
    base = torch.arange(24.0).view(4, 6)
    state = OrderedDict(
        {
            "learning_to_downsample.conv.conv.0.weight": torch.randn(2, 3, 1, 1),
            "module.classifier.conv.1.weight": torch.nn.Parameter(torch.randn(3, 2, 1, 1)),
            "classifier.conv.1.bias": torch.zeros(3).half(),
            "running_mean": base[1:, ::2],
            "num_batches_tracked": torch.tensor(3),
            "mask": torch.tensor([True, False]).expand(3, 2),
            "transposed": base.T.bfloat16(),
        }
    )
    state._metadata = OrderedDict({"": {"version": 1}})  # type: ignore[attr-defined]
    content = {
        "state_dict": state,
        "ema": {f"model.{name}": value for name, value in state.items()},
        "args": Namespace(lr=0.1),
        "meta": {"CLASSES": ["a", "b", "c"], "PALETTE": [[0, 0, 0], [1, 2, 3], [4, 5, 6]], "epoch": 7},
        "optimizer": {"state": {0: {"step": torch.tensor(1.0)}}, "param_groups": [{"lr": 0.1, "params": [0, 1]}]},
        "uint16": torch.arange(4, dtype=torch.int32).to(torch.uint16),
    }
    older = {key: value for key, value in content.items() if key != "uint16"}
    spec = ModelSpec(architecture="fast-scnn", labels=CAMVID, stride=8, align_corners=True)
    flat = {name: value.detach().contiguous() for name, value in state.items()}
    archive = _saved(content)
    return [
        archive,
        _repacked(archive),
        _saved(older, _use_new_zipfile_serialization=False),
        _saved(older, _use_new_zipfile_serialization=False, pickle_protocol=4),
        safetensors.torch.save(flat, {"format": "pt", "epoch": "3"}),
        safetensors.torch.save(flat, {SPEC_KEY: spec.to_json()}),
    ]


def _saved(content: object, **options: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, **options)
    return buffer.getvalue()


def _repacked(archive: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as source, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        for name in source.namelist():
            packed.writestr(name, source.read(name))
    return buffer.getvalue()


def damaged_files(seed: int, count: int) -> Iterator[tuple[str, bytes]]:
    """Yields `count` files, and how each was made."""
    chance = random.Random(seed)
    whole = valid_files()
    makers: dict[str, Callable[[random.Random, list[bytes]], bytes]] = {
        "bytes": lambda c, files: _change(c, c.choice(files)),
        "splice": _splice,
        "changed pickle": _changed_pickle,
        "random pickle": lambda c, _: _wrapped(c, random_pickle(c)),
        "random content": lambda c, _: _random_content(c),
        "archive fields": _archive_fields,
        "header": lambda c, _: random_header(c),
    }
    for _ in range(count):
        kind = chance.choice(list(makers))
        yield kind, makers[kind](chance, whole)


def _change(chance: random.Random, data: bytes) -> bytes:
    """Changes, cuts, inserts or repeats bytes, once or a few times."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 4, 8))):
        place = chance.randrange(len(changed) + 1)
        length = chance.choice((1, 1, 2, 4, 8, 30))
        kind = chance.randrange(7)
        if kind == 0:
            changed[place : place + length] = chance.randbytes(length)
        elif kind == 1 and place < len(changed):
            changed[place] ^= 1 << chance.randrange(8)
        elif kind == 2:
            form = chance.choice(("<B", "<H", "<I", "<Q", ">I", ">Q"))
            size = struct.calcsize(form)
            changed[place : place + size] = struct.pack(form, chance.choice(_LARGE) & ((1 << 8 * size) - 1))
        elif kind == 3:
            changed[place:place] = chance.randbytes(length)
        elif kind == 4:
            del changed[place : place + length * chance.choice((1, 1, 20))]
        elif kind == 5:
            start = chance.randrange(len(changed) + 1)
            changed[place:place] = changed[start : start + length * 4]
        else:
            del changed[place:]
    return bytes(changed)


def _splice(chance: random.Random, files: list[bytes]) -> bytes:
    first, second = chance.choice(files), chance.choice(files)
    start = chance.randrange(len(first))
    return first[:start] + second[chance.choice((start, chance.randrange(len(second)))) :]


def _changed_pickle(chance: random.Random, files: list[bytes]) -> bytes:
    """Changes the pickle in an archive, whose directory stays valid."""
    with zipfile.ZipFile(io.BytesIO(files[0])) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    name = next(name for name in entries if name.endswith("data.pkl"))
    entries[name] = _change(chance, entries[name])
    if chance.random() < 0.1:
        entries[name.replace("data.pkl", "byteorder")] = chance.choice((b"big", b"little", b"", b"middle"))
    return _archive(chance, entries)


def _archive(chance: random.Random, entries: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    method = chance.choice((zipfile.ZIP_STORED, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def _archive_fields(chance: random.Random, files: list[bytes]) -> bytes:
    """Changes numbers in the headers, the directory and the end of an archive."""
    data = bytearray(chance.choice(files[:2]))
    for _ in range(chance.choice((1, 1, 2, 3))):
        signature, header_bytes = chance.choice(
            ((b"PK\x03\x04", 30), (b"PK\x01\x02", 46), (b"PK\x05\x06", 22), (b"PK\x06\x06", 56), (b"PK\x06\x07", 20))
        )
        places = [i for i in range(len(data) - 4) if data[i : i + 4] == signature]
        if not places:
            continue
        place = chance.choice(places) + chance.randrange(4, header_bytes)
        form = chance.choice(("<B", "<H", "<I", "<Q"))
        size = struct.calcsize(form)
        near = int.from_bytes(data[place : place + size], "little") + chance.choice((-1, 1, -4, 4, 64))
        number = chance.choice((*_LARGE, near, len(data), len(data) - 1)) & ((1 << 8 * size) - 1)
        data[place : place + size] = struct.pack(form, number)
    return bytes(data)


_NAMES = (
    "collections.OrderedDict",
    "collections.defaultdict",
    "torch.Size",
    "torch.float32",
    "torch.uint16",
    "torch.FloatStorage",
    "torch.BFloat16Storage",
    "torch.storage.UntypedStorage",
    "torch._utils._rebuild_tensor",
    "torch._utils._rebuild_tensor_v2",
    "torch._utils._rebuild_tensor_v3",
    "torch._utils._rebuild_parameter",
    "torch._tensor._rebuild_from_type_v2",
    "argparse.Namespace",
    "posix.system",
    "os.mkdir",
    "builtins.eval",
    "copy_reg._reconstructor",
)


def random_pickle(chance: random.Random) -> bytes:
    """Returns instructions in any order, among them whole tensors, with arguments that may fit."""
    parts = [b"\x80\x02"] if chance.random() < 0.8 else []
    for _ in range(chance.choice((3, 10, 30, 100))):
        kind = chance.randrange(10)
        if kind < 4:
            parts.append(_instruction(chance))
        elif kind < 6:
            parts.append(assemble(_argument(chance)))
        elif kind == 6:
            parts.append(named(chance.choice(_NAMES)).data)
        elif kind == 7:
            parts.append(named(chance.choice(_NAMES)).data + assemble(tuple(_arguments(chance))) + b"R")
        elif kind == 8:
            parts.append(_random_tensor(chance))
        else:
            parts.append(assemble((f"mkdir {CANARY}",)) + b"R" + chance.choice((b"", b"0")))
    if chance.random() < 0.5:
        parts = [
            b"}(",
            *(assemble(f"classifier.conv.{i}.weight") + _random_tensor(chance) for i in range(3)),
            b"u",
            *parts,
        ]
    return b"".join(parts) + (b"." if chance.random() < 0.9 else b"")


def _random_tensor(chance: random.Random) -> bytes:
    type_ = chance.choice(("torch.FloatStorage", "torch.HalfStorage", "torch.UntypedStorage", "torch.QInt8Storage"))
    view = chance.choice(((), (None,), (("v", chance.choice(_NUMBERS), 2),)))
    of = storage(type_, chance.choice(("0", "1", 0)), chance.choice((0, 1, 4, 4, 4, 1 << 40, -1)), *view)
    axes = chance.choice((0, 1, 1, 2, 4, 33))
    shape = tuple(chance.choice((0, 1, 2, 4, -1, 1 << 31, 1 << 62)) for _ in range(axes))
    stride = tuple(chance.choice((0, 1, 2, 4, 1 << 62)) for _ in range(chance.choice((axes, axes, axes, 1))))
    return tensor(of, chance.choice((0, 0, 1, -1, 1 << 62)), shape, stride).data


_MARKERS = tuple(dict.fromkeys(name for layout in LAYOUTS for name in layout.markers))
_TENSOR_NAMES = ("conv1.weight", "bn1.running_mean", "layer4.1.conv2.weight", "fc.weight", "extractor.0.weight", "a")
_WRAPPERS = (
    "state_dict",
    "model",
    "ema",
    "state_dict_ema",
    "ema_state_dict",
    "current_model_state",
    "optimizer",
    "meta",
)


def _random_content(chance: random.Random) -> bytes:
    """Returns an archive of valid tensors, with names of networks or nearly so, in dictionaries of any depth."""
    count = chance.choice((1, 2, 4, 12))
    content: dict[object, object] = {}
    for _ in range(count):
        prefix = chance.choice(("", "", "", "module.", "model.", "ema_model.module.", "ema_", "x.y."))
        name = chance.choice((*_MARKERS, *_TENSOR_NAMES, *(layout.classifier for layout in LAYOUTS)))
        content[prefix + name] = _valid_tensor(chance)
    for _ in range(chance.choice((0, 1, 1, 2, 6))):
        content = {chance.choice(_WRAPPERS): content}
        if chance.random() < 0.5:
            content[chance.choice(_WRAPPERS)] = {chance.choice(_MARKERS): _valid_tensor(chance)}
    if chance.random() < 0.5:
        names = chance.choice(
            ([], ["a"], ["a", "b", "c"], [1, 2], "abc", None, ["a"] * 3, ["\x1b", "b", ""], ["x"] * 300)
        )
        colors = chance.choice((None, [], [[0, 0, 0]] * 3, [[1, 2], 3, "a"], [[1 << 70, -1, 0.5]] * 3, 7))
        key = chance.choice(("CLASSES", "classes"))
        meta = {key: names, key.replace("CLASSES", "PALETTE").replace("classes", "palette"): colors}
        content["meta"] = chance.choice((meta, {"dataset_meta": meta}, {"dataset_meta": names}, names))
    for _ in range(chance.randrange(4)):
        content[chance.choice(("args", "epoch", "hyper_parameters", 7))] = chance.choice((_argument, _harmless_call))(
            chance
        )
    if chance.random() < 0.1:
        content |= {"pytorch-lightning_version": "2", "random_state": 1}
    keys = [f"{i}{type_}" for i in range(2) for type_ in ("Float", "Half", "Long", "ComplexFloat", "Bool")]
    storages = {f"m/data/{key}": chance.choice((bytes(16), chance.randbytes(16))) for key in keys}
    return _archive(chance, {"m/data.pkl": pickled(content), **storages})


def _harmless_call(chance: random.Random, depth: int = 2) -> object:
    """Returns a call that any reader of weights must survive: of code that it does not run, or of a dictionary."""
    name = chance.choice(("argparse.Namespace", "os.mkdir", "builtins.eval", "posix.system", "copy_reg._reconstructor"))
    arguments = [CANARY, *_arguments(chance)] if chance.random() < 0.5 else _arguments(chance)
    if depth and chance.random() < 0.5:
        arguments = [_harmless_call(chance, depth - 1), _valid_tensor(chance)]
    made = called(name, *arguments) if chance.random() < 0.7 else called("collections.OrderedDict", [("a", arguments)])
    return Code(made.data + assemble({"b": arguments}) + b"b") if chance.random() < 0.3 else made


def _valid_tensor(chance: random.Random) -> object:
    type_, count = chance.choice(
        (("Float", 4), ("Float", 4), ("Half", 8), ("Long", 2), ("ComplexFloat", 2), ("Bool", 16))
    )
    of = storage(f"torch.{type_}Storage", f"{chance.choice((0, 1))}{type_}", count)
    shape = chance.choice(((), (2,), (2, 1), (1, 2, 1, 1), (0,), (0, 3), (3, 0, 1, 1), (64, 3, 7, 7), (1 << 20,), (2,)))
    return tensor(of, 0, shape, (0,) * len(shape))


def _arguments(chance: random.Random) -> list[object]:
    return [_argument(chance) for _ in range(chance.choice((0, 1, 2, 3, 6, 7)))]


def _argument(chance: random.Random, depth: int = 3) -> object:
    kind = chance.randrange(8 if depth else 5)
    if kind == 0:
        return chance.choice((*_LARGE, -1, -(1 << 63), 1 << 200))
    if kind == 1:
        return chance.choice((None, True, False, 0.5, float("nan"), b"bytes"))
    if kind < 4:
        return chance.choice(
            ("", "a", "0", "state_dict", "storage", "cpu", "meta", "CLASSES", "\x1b", "x" * 600, "module.a")
        )
    if kind == 4:
        return named(chance.choice(_NAMES))
    items = [_argument(chance, depth - 1) for _ in range(chance.randrange(5))]
    return tuple(items) if kind == 5 else items if kind == 6 else dict(zip(map(str, items), items, strict=True))


def _instruction(chance: random.Random) -> bytes:
    """Returns any instruction that Python knows, with an argument of its form."""
    opcode = chance.choice(pickletools.opcodes)
    code = opcode.code.encode("latin-1")
    if opcode.arg is None:
        return code
    if opcode.arg.n > 0:
        return code + bytes(chance.choice((0, 0, 0, 1, 255)) for _ in range(opcode.arg.n))
    if opcode.arg.n == pickletools.UP_TO_NEWLINE:
        words = (b"0", b"1", b"01", b"-7L", b"0.5", b"'a'", b"a b", b"\xff", b"9" * 5000)
        lines = 2 if "pair" in opcode.arg.name else 1
        return code + b"".join(chance.choice(words) + b"\n" for _ in range(lines))
    form = {pickletools.TAKEN_FROM_ARGUMENT1: "<B", pickletools.TAKEN_FROM_ARGUMENT4: "<i"}.get(opcode.arg.n, "<I")
    form = "<Q" if opcode.arg.n == pickletools.TAKEN_FROM_ARGUMENT8U else form
    data = chance.randbytes(chance.choice((0, 1, 4, 20)))
    quoted = chance.choice((len(data), len(data), len(data) + 1, 0, 127))
    return code + struct.pack(form, quoted) + data


def _wrapped(chance: random.Random, instructions: bytes) -> bytes:
    """Returns a file of a pickle: alone, in an archive or in the older format."""
    form = chance.randrange(3)
    if form == 0:
        return instructions
    if form == 1:
        keys = {f"m/data/{key}": chance.randbytes(chance.choice((0, 4, 16))) for key in ("0", "1")}
        return _archive(chance, {"m/data.pkl": instructions, **keys})
    before = b"".join(map(pickled, (LEGACY_MAGIC, 1001, {"little_endian": chance.random() < 0.8})))
    names = pickled(chance.choice((["0"], ["1", "0"], [], ["0", "1"], [0])))
    return before + instructions + names + struct.pack("<Q", 4) + bytes(16) + struct.pack("<Q", 4) + bytes(16)


def random_header(chance: random.Random) -> bytes:
    """Returns a safetensors file of random entries, many of which fit."""
    header: dict[str, object] = {}
    end = 0
    for _ in range(chance.randrange(5)):
        dtype, size = chance.choice((("F32", 4), ("BF16", 2), ("BOOL", 1), ("C64", 8), ("I64", 8), ("F8_E4M3", 1)))
        shape = [chance.choice((0, 1, 2, 3, 3)) for _ in range(chance.choice((0, 1, 2, 4)))]
        count = 1
        for length in shape:
            count *= length
        entry = {"dtype": dtype, "shape": shape, "data_offsets": [end, end + count * size]}
        end += count * size
        if chance.random() < 0.15:
            odd = (None, 1, "F32", [], [chance.choice(_LARGE), 16], {"a": 1}, [1] * 40, [-1], [1e300], [True])
            entry[chance.choice(list(entry))] = chance.choice(odd)
        header[chance.choice(("a", "classifier.conv.1.weight", "\u00e9", "a\x00", "module.b", f"t{len(header)}"))] = (
            entry
        )
    if chance.random() < 0.3:
        specs = ("{}", "[" * 9000, '{"architecture": 1}', "")
        metadata = ({"format": "pt"}, 3, {"a": 1}, {SPEC_KEY: chance.choice(specs)}, {"rapidseg.encoder": "{}"})
        header["__metadata__"] = chance.choice(metadata)
    text = json.dumps(header).encode()
    if chance.random() < 0.3:
        text = _change(chance, text)
    data = safetensors_bytes(text, bytes(end + chance.choice((0, 0, 0, 0, 1, -1)) if end else 0))
    return _change(chance, data) if chance.random() < 0.1 else data

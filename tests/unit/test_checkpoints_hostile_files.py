"""safetensors files that are damaged, and files of other kinds: each is refused in a single sentence."""

import json
import os
import pickle
import struct
import zipfile

import numpy as np
import pytest
import safetensors.torch
import torch

from rapidseg.checkpoints import read_checkpoint
from rapidseg.core.errors import ModelFileError
from rapidseg.importing import recognize_checkpoint
from tests.support.checkpoint_files import (
    safetensors_bytes,
)


def header(*, dtype="F32", shape=(4,), offsets=(0, 16), **more):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets), **more}


SAFETENSORS = {
    "overlap": ({"a": header(), "b": header(offsets=(8, 24))}, 24, "its tensors overlap at byte 8"),
    "the same place": ({"a": header(), "b": header()}, 16, "its tensors overlap at byte 0"),
    "a gap": ({"a": header(), "b": header(offsets=(20, 36))}, 36, "its tensors leave a gap at byte 20"),
    "bytes before": ({"a": header(offsets=(4, 20))}, 20, "its tensors leave a gap at byte 4"),
    "bytes behind": ({"a": header()}, 17, "its tensors take 16 bytes, but it has 17"),
    "outside": ({"a": header()}, 15, "tensor 'a' does not fit its place"),
    "backward": ({"a": header(offsets=(16, 0))}, 16, "tensor 'a' does not fit its place"),
    "negative": ({"a": header(offsets=(-16, 0))}, 16, "tensor 'a' has no shape or place"),
    "another shape": ({"a": header(shape=(5,))}, 16, "tensor 'a' does not fit its place"),
    "a negative size": ({"a": header(shape=(-2, -2))}, 16, "tensor 'a' has no shape or place"),
    "a fraction": ({"a": header(shape=(4.0,))}, 16, "tensor 'a' has no shape or place"),
    "a truth": ({"a": header(shape=(True, 4))}, 16, "tensor 'a' has no shape or place"),
    "three offsets": ({"a": header(offsets=(0, 8, 16))}, 16, "tensor 'a' has no shape or place"),
    "huge offsets": ({"a": header(offsets=(2**64, 2**64 + 16))}, 16, "tensor 'a' does not fit its place"),
    "33 axes": ({"a": header(shape=(4, *[1] * 32))}, 16, "tensor 'a' has 33 axes; 32 are possible"),
    "a million axes": ({"a": header(shape=[2**62] * 10**6)}, 16, "tensor 'a' has 1000000 axes"),
    "an overflow": ({"a": header(shape=(2**40, 2**40, 0), offsets=(0, 0))}, 0, "which is too large"),
    "a huge size": ({"a": header(shape=(0, 10**4000), offsets=(0, 0))}, 0, "too large"),
    "an unknown type": ({"a": header(dtype="F4")}, 16, "tensor 'a' has a type 'F4'; known are F64, F32"),
    "a type that is a list": ({"a": header(dtype=["F32"])}, 16, "tensor 'a' has a type that is not text"),
    "no type": ({"a": {"shape": [4], "data_offsets": [0, 16]}}, 16, "tensor 'a' has a type that is not text"),
    "no description": ({"a": 3}, 16, "tensor 'a' is not described"),
    "a list": ([1, 2], 0, "not a readable"),
    "metadata that is a list": ({"__metadata__": [1]}, 0, "its metadata is not text"),
    "metadata of numbers": ({"__metadata__": {"a": 1}}, 0, "its metadata is not text"),
    "a name that cannot be printed": (
        {"a\x1b[31m": header()},
        16,
        r"the name 'a\x1b[31m' is too long or not printable",
    ),
    "a lone surrogate": ({"\ud800": header()}, 16, r"the name '\ud800' is too long or not printable"),
    "a long name": ({"a" * 501: header()}, 16, "is too long or not printable"),
    "names that repeat": (b'{"a":{"dtype":"U8","shape":[],"data_offsets":[0,1]},"a":{}}', 1, "is not valid JSON"),
    "keys that repeat": (b'{"a":{"dtype":"U8","dtype":"U8","shape":[],"data_offsets":[0,1]}}', 1, "is not valid JSON"),
    "not JSON": (b"{'a': 1}", 0, "its header is not valid JSON"),
    "UTF-16": (b"{" + '"a": 1}'.encode("utf-16-le"), 0, "its header is not valid JSON"),
    "not UTF-8": (b'{"\xff": 1}', 0, "its header is not valid JSON"),
    "deep nesting": (b'{"a":' + b"[" * 10**6 + b"]" * 10**6 + b"}", 0, "its header is not valid JSON"),
    "deep objects": (b'{"a":' * 10**6 + b"1" + b"}" * 10**6, 0, "its header is not valid JSON"),
    "many objects": (b'{"a":[' + b"{}," * 10**6 + b"1]}", 0, "its header holds more than 2000000 values"),
    "many digits": (b'{"a":' + b"9" * 10**6 + b"}", 0, "its header is not valid JSON"),
}


@pytest.mark.parametrize("kind", SAFETENSORS)
def test_damaged_safetensors_files_are_refused(kind, refusal):
    description, body_bytes, reason = SAFETENSORS[kind]
    data = safetensors_bytes(description, bytes(body_bytes))
    message = refusal(data, "model.safetensors")
    assert reason in message
    assert message.startswith(" is not a readable safetensors file (")


@pytest.mark.parametrize(
    ("length", "reason"),
    [
        (0, "its header is not valid JSON"),
        (9, "it ends too early"),
        (2**32, "it does not begin with the length of a header"),
        (2**64 - 1, "it does not begin with the length of a header"),
    ],
)
def test_headers_of_another_length_are_refused(length, reason, refusal):
    data = struct.pack("<Q", length) + b'{"a":{}}'
    assert f" is not a readable safetensors file ({reason}" in refusal(data, "model.safetensors")


@pytest.mark.parametrize(
    ("beginning", "reason"),
    [
        (b"\x93NUMPY\x01\x00", "is an array of NumPy, without names; save the weights"),
        (b"\x89HDF\r\n\x1a\n", "is an HDF5 file, as Keras writes them; RapidSeg reads weights of PyTorch"),
        (b"  <html>", "is a web page or XML, so the download failed"),
        (b"GGUF\x03\x00\x00\x00", "is a GGUF file, as llama.cpp reads them"),
        (b"\x89PNG\r\n\x1a\n", "is a PNG image, not a checkpoint"),
        (
            b"model.pth".ljust(257, b"\x00") + b"ustar\x0000",
            "is a tar archive; unpack it and pass the checkpoint in it",
        ),
    ],
)
@pytest.mark.parametrize("name", ["model.pth", "model.safetensors"])
def test_files_of_other_kinds_are_told_whatever_their_name(beginning, reason, name, refusal):
    assert refusal(beginning.ljust(1000, b"\x00"), name).startswith(f" {reason}")


def test_keras_archives_are_told(tmp_path, refusal):
    with zipfile.ZipFile(tmp_path / "model.keras", "w") as archive:
        archive.writestr("metadata.json", "{}")
        archive.writestr("model.weights.h5", b"\x89HDF")
    assert refusal(tmp_path / "model.keras").startswith(" is an archive of Keras; RapidSeg reads weights of PyTorch")


def test_archives_of_numpy_are_told(tmp_path, refusal):
    np.savez(tmp_path / "model.npz", a=np.zeros(3), b=np.ones(2))
    assert refusal(tmp_path / "model.npz").startswith(" is an archive of NumPy arrays (.npz); RapidSeg reads")


def test_other_archives_are_to_be_unpacked(tmp_path, refusal):
    with zipfile.ZipFile(tmp_path / "model.zip", "w") as archive:
        archive.writestr("best.pth", b"weights")
    assert refusal(tmp_path / "model.zip").startswith(" is a zip archive, not a checkpoint; unpack it")


def test_files_of_other_frameworks_are_told(tmp_path, refusal):
    onnx = b"\x08\x08\x12\x07pytorch" + bytes(500)
    assert refusal(onnx, "model.bin").startswith(" is an ONNX file, not a checkpoint; pass the checkpoint")
    index = bytes(500) + bytes.fromhex("57fb808b247547db")
    assert refusal(index, "model.index").startswith(" is a file of TensorFlow; RapidSeg reads weights of PyTorch")
    assert refusal(bytes(500), "model.data-00000-of-00001").startswith(" is a file of TensorFlow; ")
    assert refusal(b"\x1c\x00\x00\x00TFL3" + bytes(500), "model.bin").startswith(" is a file of TensorFlow; ")
    arrays = pickle.dumps({"conv1.weight": np.zeros((2, 2), np.float32)}, protocol=2)
    (tmp_path / "model.pdparams").write_bytes(arrays)
    with pytest.raises(ModelFileError, match=r"its arrays are those of NumPy, as PaddlePaddle \(.pdparams\) writes"):
        recognize_checkpoint(tmp_path / "model.pdparams")


def test_answers_of_servers_are_told(refusal):
    message = refusal(b"404: Not Found, the file does not exist", "model.pth")
    assert message.startswith(" is not a readable PyTorch checkpoint: it is a text that begins with '404: Not Found")
    assert message.endswith("if that is a server's answer, the download failed: download the file itself")
    assert refusal(b'{"error": "Invalid username"}', "model.safetensors").startswith(" is JSON text, such as an index")


def test_a_header_whose_length_reads_like_a_tag_is_no_page(tmp_path):
    """15392 is `20 3C` in bytes, a blank and `<`."""
    header = json.dumps({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode().ljust(0x3C20)
    path = tmp_path / "model.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))
    assert path.read_bytes().startswith(b" <")
    assert read_checkpoint(path).content["a"].shape == (1,)


@pytest.mark.parametrize("name", ["model.pth", "model.safetensors"])
def test_empty_files_are_told(name, refusal):
    assert refusal(b"", name) == ": the file is empty; download or copy it again"


@pytest.mark.parametrize("data", [b"\x00", b"\x80", b"PK", b"PK\x03\x04", b"{", b"\xff" * 7, bytes(8), bytes(9)])
@pytest.mark.parametrize("name", ["model.pth", "model.safetensors"])
def test_files_of_a_few_bytes_are_refused(data, name, refusal):
    assert " is not a readable " in refusal(data, name)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")
def test_pipes_are_refused_without_waiting(tmp_path, refusal):
    os.mkfifo(tmp_path / "pipe")
    assert refusal(tmp_path / "pipe") == " is a pipe or a device; save the checkpoint to disk and pass that file"


def test_paths_that_no_file_can_have_are_told(tmp_path, refusal):
    assert "cannot be read" in refusal(tmp_path / ("x" * 5000))
    with pytest.raises(ModelFileError, match="cannot be read"):
        read_checkpoint(tmp_path / "a\0b")


@pytest.mark.parametrize("form", ["zip", "legacy", "safetensors"])
def test_files_that_are_cut_anywhere_are_refused(form, tmp_path, refusal):
    state = {"a": torch.arange(20.0), "b": torch.ones(3, 4)}
    if form == "safetensors":
        whole = safetensors.torch.save(state)
    else:
        torch.save(state, tmp_path / "whole.pth", _use_new_zipfile_serialization=form == "zip")
        whole = (tmp_path / "whole.pth").read_bytes()
    name = "model.safetensors" if form == "safetensors" else "model.pth"
    for end in range(1, len(whole), 7 if form != "zip" else 41):
        if form == "legacy" and whole[:end].endswith(b"."):
            continue  # a pickle alone is a file
        assert " is not a readable " in refusal(whole[:end], name)

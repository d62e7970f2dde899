"""Files that are cut short, of another kind, or hostile: refused in one message, and no code in them runs."""

import collections
import os
import pickle
import sys
import types
import warnings
import zipfile

import numpy as np
import pytest
import safetensors.torch
import torch

from rapidseg.checkpoints import OpaqueValue, read_checkpoint
from rapidseg.core.errors import ModelFileError
from rapidseg.importing import load_checkpoint
from tests.support.published import published_state

TENSORS = {"a.weight": torch.arange(3.0), "b.weight": torch.ones(2, 2)}


class Runs:
    """Calls a function when it is read by a reader that trusts the file."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def save(content, path, form):
    if form == "bare pickle":
        path.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=form == "zip")


@pytest.mark.parametrize("form", ["zip", "old format", "bare pickle"])
@pytest.mark.parametrize("place", ["beside", "inside", "around"])
def test_code_in_a_file_is_never_run(form, place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    harm = Runs(os.mkdir, "this-must-not-be-made")
    state = published_state("tramac")
    content = {
        "beside": {"state_dict": state, "extra": harm},
        "inside": {"state_dict": {**state, "classifier.conv.1.bias": harm}},
        "around": harm,
    }[place]
    save(content, tmp_path / "model.pth", form)
    if place == "beside" and form != "bare pickle":
        assert load_checkpoint(tmp_path / "model.pth").spec.architecture == "fast-scnn"
        assert read_checkpoint(tmp_path / "model.pth").opaque == (f"{os.name}.mkdir",)
    else:
        reason = {
            "beside": "holds no dictionary of tensors",
            "inside": r"classifier\.3\.bias" if form != "bare pickle" else "holds no dictionary of tensors",
            "around": r"reading it needs posix\.mkdir, which is code, not a tensor; rapidseg never runs code from a",
        }[place]
        with pytest.raises(ModelFileError, match=reason):
            load_checkpoint(tmp_path / "model.pth")
    assert [path.name for path in tmp_path.iterdir()] == ["model.pth"]
    with warnings.catch_warnings():  # the file does what is tested here: another reader runs it
        warnings.simplefilter("ignore")
        if form == "bare pickle":
            pickle.loads((tmp_path / "model.pth").read_bytes())
        else:
            torch.load(tmp_path / "model.pth", weights_only=False)
    assert (tmp_path / "this-must-not-be-made").is_dir()


@pytest.mark.parametrize(
    ("function", "name"),
    [(eval, "eval"), (print, "print"), (np.load, "numpy.load"), (torch.load, "torch.serialization")],
)
def test_what_a_file_wants_is_named(function, name, tmp_path):
    torch.save({"a": Runs(function, "1")}, tmp_path / "model.pth")
    with pytest.raises(ModelFileError, match=f"holds no dictionary of tensors; it has \\S*{name}"):
        load_checkpoint(tmp_path / "model.pth")


def test_a_whole_model_is_refused_with_the_way_out(tmp_path):
    torch.save(torch.nn.Linear(2, 2), tmp_path / "model.pth")
    with pytest.raises(
        ModelFileError, match=r"reading it needs torch\.nn\.modules\.linear\.Linear, .*torch\.save\(model\.state_dict"
    ):
        read_checkpoint(tmp_path / "model.pth")


@pytest.mark.parametrize("form", ["zip", "old format"])
def test_numbers_of_numpy_and_logs_of_mmengine_are_passed_over(form, tmp_path, monkeypatch):
    class HistoryBuffer:  # as mmengine's: two arrays and a number (mmengine/logging/history_buffer.py)
        def __init__(self):
            self.max_length, self._log_history, self._count_history = 10, np.ones(3), np.ones(3, int)

    HistoryBuffer.__qualname__, HistoryBuffer.__module__ = "HistoryBuffer", "mmengine.logging.history_buffer"
    for name in ("mmengine", "mmengine.logging", "mmengine.logging.history_buffer"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    sys.modules["mmengine.logging.history_buffer"].HistoryBuffer = HistoryBuffer
    content = {
        "state_dict": TENSORS,
        "best_pred": np.float64(0.5),
        "names": np.array(["a", "b"]),
        "message_hub": {"log_scalars": collections.OrderedDict(loss=HistoryBuffer())},
    }
    save(content, tmp_path / "model.pth", form)
    for name in ("mmengine", "mmengine.logging", "mmengine.logging.history_buffer"):
        monkeypatch.delitem(sys.modules, name)
    checkpoint = read_checkpoint(tmp_path / "model.pth")
    read = checkpoint.content
    assert not checkpoint.metadata
    assert all(np.array_equal(read["state_dict"][name].numpy(), tensor) for name, tensor in TENSORS.items())
    for value in (read["best_pred"], read["names"], read["message_hub"]["log_scalars"]["loss"]):
        assert isinstance(value, OpaqueValue)
    assert "mmengine.logging.history_buffer.HistoryBuffer" in checkpoint.opaque


@pytest.mark.parametrize("form", ["zip", "old format"])
def test_a_file_that_is_cut_anywhere_is_refused(form, tmp_path):
    save(published_state("tramac"), tmp_path / "model.pth", form)
    content = (tmp_path / "model.pth").read_bytes()
    places = (0, 1, 7, 100, 1000, 20_000, len(content) // 2, len(content) - 1000, len(content) - 1)
    for place in places:
        (tmp_path / "cut.pth").write_bytes(content[:place])
        with pytest.raises(ModelFileError, match=r"cut\.pth(: | is not a readable PyTorch checkpoint)"):
            load_checkpoint(tmp_path / "cut.pth")


def test_a_safetensors_file_that_is_cut_anywhere_is_refused(tmp_path):
    safetensors.torch.save_file(TENSORS, tmp_path / "model.safetensors")
    content = (tmp_path / "model.safetensors").read_bytes()
    for place in (1, 4, 30, len(content) - 1):
        (tmp_path / "cut.safetensors").write_bytes(content[:place])
        with pytest.raises(
            ModelFileError,
            match=r"cut\.safetensors is not a readable safetensors file \(.*\); if it is incomplete, download",
        ):
            load_checkpoint(tmp_path / "cut.safetensors")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\n<!DOCTYPE html><html>", "is a web page or XML, so the download failed; download the file itself"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is a Git LFS pointer, not the file"),
        (b"\x1f\x8b\x08\x00", "is a gzip archive; unpack it and pass the checkpoint in it"),
        (b"just some text that is long enough", "is not a readable PyTorch checkpoint"),
        (bytes(1000), "not a readable PyTorch checkpoint"),
    ],
)
def test_files_of_another_kind_are_told(content, message, tmp_path):
    (tmp_path / "model.pth").write_bytes(content)
    with pytest.raises(ModelFileError, match=message):
        load_checkpoint(tmp_path / "model.pth")


def test_a_zip_that_is_no_checkpoint_is_told(tmp_path):
    with zipfile.ZipFile(tmp_path / "model.pth", "w") as file:
        file.writestr("model/readme.txt", "hello")
    with pytest.raises(
        ModelFileError, match="is a zip archive, not a checkpoint; unpack it and pass the checkpoint in"
    ):
        load_checkpoint(tmp_path / "model.pth")


def test_no_file_a_folder_and_an_exported_file_are_told(tmp_path):
    with pytest.raises(ModelFileError, match=r"no\.pth: no such file; pass a checkpoint"):
        load_checkpoint(tmp_path / "no.pth")
    with pytest.raises(ModelFileError, match=r"is a folder; it contains no file that ends in \.safetensors"):
        load_checkpoint(tmp_path)
    (tmp_path / "model.onnx").touch()
    with pytest.raises(ModelFileError, match="is an exported file; pass the checkpoint that it was made from"):
        load_checkpoint(tmp_path / "model.onnx")


def test_the_old_format_is_read(tmp_path):
    torch.save(TENSORS, tmp_path / "model.pth", _use_new_zipfile_serialization=False)
    read = read_checkpoint(tmp_path / "model.pth").content
    assert all(np.array_equal(read[name].numpy(), tensor) for name, tensor in TENSORS.items())


def test_a_dictionary_that_holds_itself_ends(tmp_path):
    content = {"state_dict": {"a": 1}}
    content["state_dict"]["b"] = content
    torch.save(content, tmp_path / "model.pth")
    with pytest.raises(ModelFileError, match="holds no dictionary of tensors"):
        load_checkpoint(tmp_path / "model.pth")

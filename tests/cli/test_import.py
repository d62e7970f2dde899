"""`rapidseg import`, as a person types it."""

import hashlib
import json

import pytest
import torch

from rapidseg.importing import transfer
from rapidseg.models import load_model
from tests.support.published import published_state
from tests.support.web_server import Site, serve


@pytest.fixture
def checkpoint(tmp_path):
    torch.manual_seed(0)
    torch.save({"state_dict": published_state("tramac", num_classes=3)}, tmp_path / "model.pth")
    return tmp_path / "model.pth"


def test_a_checkpoint_becomes_a_model_file(rapidseg, checkpoint, tmp_path):
    status, output, error = rapidseg("import", checkpoint, "-o", tmp_path / "new" / "model.safetensors")
    assert status == 0
    assert "fast-scnn (Tramac/Fast-SCNN-pytorch), 3 classes: class_0, class_1, class_2; 1.14 M parameters" in output
    assert f"wrote {tmp_path / 'new' / 'model.safetensors'}" in output
    assert error.startswith("note: the file does not name its 3 classes; they are called class_0 and so on.")
    assert load_model(tmp_path / "new" / "model.safetensors").spec.source == "Tramac/Fast-SCNN-pytorch"


def test_without_an_output_the_file_is_written_beside_the_checkpoint(rapidseg, checkpoint):
    (checkpoint.parent / "weights").mkdir()
    moved = checkpoint.rename(checkpoint.parent / "weights" / "model.pth")
    status, output, _ = rapidseg("import", "weights/model.pth")
    assert (status, output.splitlines()[-1]) == (0, "wrote weights/model.safetensors")
    assert moved.with_suffix(".safetensors").is_file()


def test_labels_are_stored_and_json_is_one_document(rapidseg, checkpoint, tmp_path):
    words = ("import", checkpoint, "-o", "model.safetensors", "--labels", "road,car,sky", "--json")
    status, output, error = rapidseg(*words)
    assert (status, error) == (0, "")
    document = json.loads(output)
    assert document["file"] == "model.safetensors"
    assert document["notes"] == []
    assert document["spec"]["labels"]["names"] == ["road", "car", "sky"]
    assert document["spec"]["checksum"] == load_model(tmp_path / "model.safetensors").spec.checksum


def test_the_copy_to_take_can_be_said(rapidseg, tmp_path):
    average = published_state("tramac", num_classes=3)
    other = {name: tensor + 1 if tensor.is_floating_point() else tensor for name, tensor in average.items()}
    torch.save({"model": other, "model_ema": average}, tmp_path / "model.pth")
    status, output, error = rapidseg("import", "model.pth", "-o", "a.safetensors", "--json")
    assert (status, error) == (0, "")
    (note, *_) = json.loads(output)["notes"]
    assert "RapidSeg uses the moving average (model_ema), the copy that the file's source evaluates" in note
    assert "To use the other copy (model), pass --no-ema (ema=False in Python)" in note
    assert rapidseg("import", "model.pth", "-o", "b.safetensors", "--no-ema")[0] == 0
    bias = "classifier.conv.1.bias"
    for name, state in (("a", average), ("b", other)):
        assert torch.equal(load_model(f"{name}.safetensors").state_dict()["classifier.3.bias"], state[bias])


def test_a_url_is_downloaded_resumed_and_checked(rapidseg, checkpoint, tmp_path, monkeypatch):
    monkeypatch.setenv("RAPIDSEG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(transfer, "ATTEMPTS", 1)
    content = checkpoint.read_bytes()
    name = f"/fast_scnn-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    with serve(Site({name: content, "/other-00000000.pth": content}, breaks=[100_000])) as site:
        status, output, error = rapidseg("import", site.url + name, "-o", "model.safetensors")
        assert (status, output) == (2, "")
        assert "the connection broke off after 0.1 MB" in error
        assert rapidseg("import", site.url + name, "-o", "model.safetensors")[0] == 0
        assert site.asked[-1] == (name, "bytes=100000-")
        status, output, error = rapidseg("import", site.url + "/other-00000000.pth", "-o", "other.safetensors")
        assert (status, output) == (2, "")
        assert "which does not begin with 00000000; it was deleted" in error
    assert rapidseg("import", site.url + name, "-o", "again.safetensors")[0] == 0  # it is kept, and no server needed


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["model.pth", "-o", "model.bin"],
            "model.bin: pass a file name that ends in .safetensors, such as model.safetensors",
        ),
        (["missing.pth", "-o", "m.safetensors"], "missing.pth: no such file; pass a checkpoint"),
        (["ftp://host/a.pth", "-o", "m.safetensors"], "only http://, https:// and hf:// URLs can be downloaded"),
        (["model.pth", "-o", "m.safetensors", "--labels", "camvid"], "has 3 classes, but labels names 11"),
        (["model.pth", "-o", "m.safetensors", "--labels", "nothing"], "unknown labels 'nothing'"),
        (["model.pth", "-o", "m.safetensors", "--sha256", "xyz"], "'xyz' is not a SHA-256; pass its 64 hex digits"),
        (["model.pth", "-o", "m.safetensors", "--sha256", "0" * 64], "it is another file, or damaged"),
        (["model.pth", "-o", "m.safetensors", "--ema"], "has no moving average of the weights"),
        ([".", "-o", "m.safetensors"], "is a folder; pass a file in it, such as "),
        ([".."], ".. is a folder; pass a file"),
        (["model.pth", "-o", "."], ". is a folder; pass a file name that ends in .safetensors"),
        (["model.pth", "-o", "new/"], "new/ is a folder; pass a file name that ends in .safetensors"),
        (
            ["model.safetensors"],
            "model.safetensors would be replaced; pass another name that ends in .safetensors: --output FILE",
        ),
    ],
)
def test_mistakes_are_one_message_and_exit_status_2(words, message, rapidseg, checkpoint):
    status, output, error = rapidseg("import", *words)
    assert (status, output) == (2, "")
    assert message in error
    assert "Traceback" not in error
    assert list(checkpoint.parent.iterdir()) == [checkpoint]

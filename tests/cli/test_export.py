"""`rapidseg export`, as a person types it."""

import json

import pytest
import torch

from rapidseg.core.labels import CAMVID
from rapidseg.models import create_model, save_model


@pytest.fixture
def checkpoint(tmp_path):
    torch.manual_seed(0)
    model = create_model("fast-scnn", labels=CAMVID, width=0.25).eval()
    save_model(model, tmp_path / "best.safetensors")
    return tmp_path / "best.safetensors"


def test_a_checkpoint_becomes_a_file_beside_it(rapidseg, checkpoint):
    status, output, error = rapidseg("export", checkpoint)
    assert (status, error) == (0, "")
    assert checkpoint.with_suffix(".onnx").stat().st_size > 100_000
    assert "3 of 1024x2048" in output
    assert "100.000%" in output
    assert "fast-scnn, 11 classes" in output


def test_json_is_one_document_and_the_file_is_where_it_was_asked_for(rapidseg, checkpoint, tmp_path):
    status, output, error = rapidseg("export", checkpoint, "-o", tmp_path / "new" / "m.onnx", "--json")
    assert (status, error) == (0, "")
    document = json.loads(output)
    assert document["file"] == str(tmp_path / "new" / "m.onnx")
    assert document["size_bytes"] == (tmp_path / "new" / "m.onnx").stat().st_size
    assert {check["engine"] for check in document["checks"]} == {"onnxruntime", "openvino"}
    assert all(check["relative_error"] < 1e-4 for check in document["checks"])
    assert document["spec"]["labels"]["names"] == list(CAMVID.names)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["missing.pth"], "no such file"),
        (["model.onnx"], "is an exported file already"),
        (["best.safetensors", "-o", "model.bin"], "ends in .onnx; call it model.onnx"),
    ],
)
def test_mistakes_are_one_message_and_exit_status_2(words, message, rapidseg, checkpoint, monkeypatch):
    monkeypatch.chdir(checkpoint.parent)
    status, output, error = rapidseg("export", *words)
    assert (status, output) == (2, "")
    assert message in error
    assert "Traceback" not in error
    assert list(checkpoint.parent.iterdir()) == [checkpoint]

"""`rapidseg models push`: uploads to a server that stands for the Hugging Face Hub."""

import json

import pytest

from rapidseg.core.extras import is_installed
from tests.support.hub_server import TOKEN, Hub, serve_hub
from tests.support.tiny_onnx import write_tiny_onnx


@pytest.fixture
def hub(tmp_path, monkeypatch):
    monkeypatch.delenv("RAPIDSEG_OFFLINE", raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with serve_hub(Hub()) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        yield hub


@pytest.mark.skipif(not is_installed("huggingface_hub"), reason="needs the extra hub")
def test_the_command_uploads_and_says_how_to_load(hub, rapidseg, tmp_path):
    path = write_tiny_onnx(tmp_path / "streets.onnx")
    status, output, error = rapidseg("models", "push", path, "ada/streets", "--private", "--message", "First")
    assert (status, error) == (0, "")
    assert output.splitlines() == [
        f"model.onnx, spec.json, README.md ({path.stat().st_size / 1e6:.1f} MB) uploaded: {hub.url}/ada/streets",
        "Load it: rapidseg predict photo.jpg --model hf://ada/streets",
    ]
    assert hub.commits == ["First"]
    assert hub.private == {"ada/streets"}
    status, output, _ = rapidseg("models", "push", path, "ada/streets", "--json")
    assert status == 0
    assert json.loads(output)["address"] == "hf://ada/streets"


def test_a_mistake_is_one_message(rapidseg):
    status, output, error = rapidseg("models", "push", "best.onnx", "streets")
    assert (status, output) == (2, "")
    assert error == "error: 'streets' is not a repository on the Hugging Face Hub; pass OWNER/NAME\n"

"""Uploads to a server that stands for the Hugging Face Hub, through huggingface_hub itself, and back by hf://."""

from __future__ import annotations

import json

import numpy as np
import pytest
import yaml

import rapidseg
from rapidseg.core import extras
from rapidseg.core.errors import DependencyError, InputError, ModelFileError, RapidSegError
from rapidseg.core.model_card import model_card
from rapidseg.runtime.model_file import SAMPLE_IMAGE, find_model
from rapidseg.workflows.push import push_model
from tests.support.hub_server import TOKEN, Hub, serve_hub
from tests.support.tiny_onnx import write_tiny_onnx

needs_library = pytest.mark.skipif(not extras.is_installed("huggingface_hub"), reason="needs the extra hub")


@pytest.fixture
def environment(tmp_path, monkeypatch):
    for name in ("RAPIDSEG_OFFLINE", "RAPIDSEG_MIRROR", "HF_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RAPIDSEG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("HF_TOKEN", TOKEN)


@pytest.fixture
def hub(environment, monkeypatch):
    with serve_hub(Hub()) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        yield hub


@pytest.fixture
def model_file(tmp_path):
    return write_tiny_onnx(tmp_path / "tiny.onnx")


class Watcher:
    """Remembers what it is told."""

    def __init__(self):
        self.updates = []

    def update(self, task, done, total, *, unit="items"):
        self.updates.append((task, done, total, unit))

    def metrics(self, step, values): ...

    def message(self, text): ...


@needs_library
def test_a_model_file_is_uploaded_and_loads_from_the_hub(hub, capfd):
    source = find_model(None)
    watcher = Watcher()
    report = push_model(source, "ada/streets", progress=watcher)
    size = source.stat().st_size
    assert (report.address, report.url, report.size_bytes) == ("hf://ada/streets", f"{hub.url}/ada/streets", size)
    assert len(report.commit) == 40
    assert report.files == ("model.onnx", "spec.json", "README.md") == tuple(hub.repositories["ada/streets"])
    assert hub.commits == [f"Upload {report.spec.architecture}"]
    assert hub.private == set()
    assert watcher.updates == [(f"uploading {source.name}", done, size, "bytes") for done in (0, size)]
    assert json.loads(json.dumps(report.to_dict()))["spec"]["architecture"] == "fast-scnn"
    assert capfd.readouterr() == ("", "")  # huggingface_hub's own bars, logs and warnings
    loaded = rapidseg.load("hf://ada/streets", precision="float32")
    expected = rapidseg.load(precision="float32")
    assert loaded.spec == expected.spec
    np.testing.assert_array_equal(loaded(SAMPLE_IMAGE).class_map, expected(SAMPLE_IMAGE).class_map)


@needs_library
def test_a_checkpoint_or_folder_is_uploaded_with_its_card(hub, tmp_path):
    torch = pytest.importorskip("torch")
    from rapidseg.models import SegmentationModel, create_model

    model = create_model("fast-scnn", num_classes=3, width=0.25)
    folder = model.save_pretrained(tmp_path / "folder")
    weights = folder / "model.safetensors"
    for number, source in enumerate((folder, weights), start=1):
        report = push_model(source, "ada/streets", message=f"Try {number}")
        assert report.files == ("model.safetensors", "spec.json", "README.md")
        files = hub.repositories["ada/streets"]
        assert files["model.safetensors"] == weights.read_bytes()
        assert files["spec.json"] == (folder / "spec.json").read_bytes()
    assert hub.commits == ["Try 1", "Try 2"]
    card = files["README.md"].decode()
    assert hub.cards[-1].strip() == card.strip()
    _, metadata, text = card.split("---\n", 2)
    assert yaml.safe_load(metadata) == {
        "library_name": "rapidseg",
        "pipeline_tag": "image-segmentation",
        "tags": ["semantic-segmentation", "fast-scnn"],
    }
    # The same page as in the folder, but for the address.
    assert text.strip() == (folder / "README.md").read_text().replace("path/to/this/folder", "hf://ada/streets").strip()
    assert rapidseg.load("hf://ada/streets", device="cpu").spec.labels == report.spec.labels
    loaded = SegmentationModel.from_pretrained("hf://ada/streets")
    assert loaded.spec == report.spec
    assert all(torch.equal(tensor, model.state_dict()[name]) for name, tensor in loaded.state_dict().items())


@needs_library
def test_a_private_repository_stays_private(hub, model_file):
    push_model(model_file, "ada/secret", private=True)
    push_model(model_file, "ada/secret", private=True)
    push_model(model_file, "ada/secret")
    assert hub.private == {"ada/secret"}
    push_model(model_file, "ada/open")
    hub.repositories["ada/open"].clear()
    with pytest.raises(RapidSegError, match=r"/ada/open is public, so --private .* cannot hold; nothing was uploaded"):
        push_model(model_file, "ada/open", private=True)
    assert hub.repositories["ada/open"] == {}


@needs_library
@pytest.mark.parametrize(
    ("status", "message"),
    [
        (401, r"uploads need a token; create one that may write \(.*/settings/tokens\), and set HF_TOKEN to it"),
        (403, r"the token may not write there; pass a repository of your own instead of ada's, or a token that"),
        (400, r"does not accept the upload \(HTTP 400\): "),
    ],
)
def test_refusals_are_said_in_words(status, message, hub, model_file, monkeypatch):
    if status == 401:
        monkeypatch.delenv("HF_TOKEN")
    else:
        hub.status = status
    with pytest.raises(RapidSegError, match=f"^ada/streets: .*{message}"):
        push_model(model_file, "ada/streets")
    assert hub.repositories == {}


@needs_library
def test_no_connection_is_said(environment, model_file, monkeypatch):
    with serve_hub(Hub()) as hub:
        url = hub.url
    monkeypatch.setenv("HF_ENDPOINT", url)
    with pytest.raises(RapidSegError, match=rf"the upload to {url} failed \(.*\); check the network and run it again"):
        push_model(model_file, "ada/streets")


@pytest.fixture
def installed(monkeypatch):
    """Makes the checks before an upload run as if the library were there."""
    monkeypatch.setattr(extras, "is_installed", lambda package: True)


@pytest.mark.parametrize("name", ["streets", "ada/streets/model.onnx", "ada/..", "ada /streets", "", "hf://ada"])
def test_other_repositories_are_refused(name, environment, installed, model_file):
    with pytest.raises(InputError, match="is not a repository on the Hugging Face Hub; pass OWNER/NAME"):
        push_model(model_file, name)


def test_only_models_of_ours_are_uploaded(environment, installed, tmp_path):
    with pytest.raises(ModelFileError, match=r"absent\.safetensors: no such file; pass a checkpoint \(\.safetensors\)"):
        push_model(tmp_path / "absent.safetensors", "ada/streets")
    (tmp_path / "other.onnx").write_bytes(b"other")
    with pytest.raises(ModelFileError, match=r"other\.onnx is not an ONNX file"):
        push_model(tmp_path / "other.onnx", "ada/streets")
    torch = pytest.importorskip("torch")
    from tests.support.published import published_state

    torch.save({"state_dict": published_state("openmmlab")}, tmp_path / "published.pth")
    with pytest.raises(
        ModelFileError, match=r"is a checkpoint of another program, .*: rapidseg import .*published\.pth"
    ):
        push_model(tmp_path / "published.pth", "ada/streets")


def test_uploads_are_off_where_downloads_are(environment, installed, model_file, monkeypatch):
    monkeypatch.setenv("RAPIDSEG_OFFLINE", "1")
    with pytest.raises(
        RapidSegError, match=r"uploads are off \(RAPIDSEG_OFFLINE=1\); unset RAPIDSEG_OFFLINE to upload"
    ):
        push_model(model_file, "ada/streets")


def test_without_the_library_the_extra_is_named(environment, model_file, monkeypatch):
    monkeypatch.setattr(extras, "is_installed", lambda package: package != "huggingface_hub")
    with pytest.raises(DependencyError, match=r"huggingface_hub is not installed; run in the clone .*'\.\[hub\]'"):
        push_model(model_file, "ada/streets")


@pytest.mark.parametrize(
    ("license_name", "lines"),
    [("Apache-2.0", ["license: apache-2.0"]), ("Terms of Cityscapes", ["license: other"]), (None, [])],
)
def test_the_license_of_a_card_is_one_that_the_hub_knows(license_name, lines):
    spec = rapidseg.load().spec.model_copy(update={"license": license_name})
    card = model_card(spec, None, source="hf://ada/streets", has_weights=False, for_hub=True)
    assert [line for line in card.splitlines() if line.startswith("license")] == lines
    assert f"| License of the weights | {license_name or 'unknown'} |" in card
    assert 'rapidseg.load("hf://ada/streets")' in card
    assert "from_pretrained" not in card
    assert "Parameters" not in card

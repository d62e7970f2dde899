"""Training runs that start from weights: what they report, what they write, and how they resume."""

from __future__ import annotations

import json

import pytest
import torch

import rapidseg
from rapidseg.core.encoder_spec import EncoderSpec
from rapidseg.core.errors import ConfigError
from rapidseg.core.progress import NullProgress
from rapidseg.models import create_model, load_model
from rapidseg.models.encoder_file import save_encoder
from rapidseg.training import load_recipe
from rapidseg.training.preparation import prepare
from rapidseg.training.run_folder import RunFolder
from tests.support.block_scenes import write_block_scenes

MEAN, STD = (125.3, 123.0, 113.9), (51.6, 50.9, 51.3)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    return write_block_scenes(tmp_path_factory.mktemp("scenes"))


@pytest.fixture
def encoder(tmp_path):
    """The encoder of the recipe `tiny`, with a normalization of its own."""
    state = create_model("fast-scnn", 2, width=0.25).state_dict()
    parts = ("learning_to_downsample.", "global_features.", "pyramid_pooling.")
    spec = EncoderSpec(
        network="fast-scnn",
        options={"width": 0.25},
        mean=MEAN,
        std=STD,
        image_size=(32, 32),
        method="supervised",
        dataset="cifar10/train",
    )
    path = tmp_path / "encoder.safetensors"
    save_encoder({name: tensor for name, tensor in state.items() if name.startswith(parts)}, spec, path)
    return path


class Messages(NullProgress):
    def __init__(self):
        self.texts = []

    def message(self, text):
        self.texts.append(text)


def test_a_run_starts_from_an_encoder_and_resumes_without_it(scenes, encoder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    messages = Messages()
    report = rapidseg.train(
        "tiny",
        weights=encoder.name,
        overrides={"data.root": scenes},
        iterations=2,
        output="run",
        device="cpu",
        progress=messages,
    )
    (summary,) = [text for text in messages.texts if "tensors start from" in text]
    assert str(encoder) in summary
    assert "random start: fusion (" in summary
    folder = RunFolder(tmp_path / "run")
    content = json.loads(folder.initial_weights.read_text())
    assert content["source"] == str(encoder)
    assert summary.startswith(f"{len(content['used'])} of {len(content['used']) + len(content['kept_random'])} tensors")
    spec = load_model(report.last_weights).spec
    assert (spec.mean, spec.std) == (MEAN, STD)
    assert spec.source.endswith(", starting from encoder.safetensors")
    assert spec.trained_on == ("cifar10/train", "cityscapes/train")

    encoder.unlink()
    recipe = load_recipe(folder.recipe)
    assert recipe.model.weights == str(encoder)
    prepared = prepare(recipe, "cpu", resuming=True, initial_weights=folder.read_initial_weights(recipe))
    prepared.loader.close()
    assert prepared.module.mean.flatten().tolist() == torch.tensor(MEAN).tolist()
    assert prepared.module.model.spec.trained_on == spec.trained_on
    assert rapidseg.train(output="run", resume=True, device="cpu").iterations == 2
    with pytest.raises(ConfigError, match=r"differs in model\.weights"):
        rapidseg.train(output="run", weights="fast-scnn-camvid", resume=True, device="cpu")
    folder.initial_weights.write_text("{")
    with pytest.raises(ConfigError, match="cannot be read, and the run cannot be resumed without it"):
        rapidseg.train(output="run", resume=True, device="cpu")
    folder.initial_weights.unlink()
    with pytest.raises(ConfigError, match="is missing, and the run cannot be resumed without it"):
        rapidseg.train(output="run", resume=True, device="cpu")


def test_a_run_from_its_own_weights_starts_where_the_last_one_ended(scenes, tmp_path):
    overrides = [f"data.root={scenes}", "ema_decay=null"]
    first = rapidseg.train("tiny", overrides=overrides, iterations=1, output=tmp_path / "first", device="cpu")
    recipe = load_recipe("tiny", [*overrides, f"model.weights={first.last_weights}"])
    prepared = prepare(recipe, "cpu")
    prepared.loader.close()
    expected = load_model(first.last_weights).state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in prepared.module.model.state_dict().items())
    assert prepared.initial_weights.kept_random == ()
    assert prepared.module.model.training


def test_random_weights_leave_no_file_and_both_keys_are_refused(scenes, tmp_path):
    rapidseg.train("tiny", overrides={"data.root": scenes}, iterations=1, output=tmp_path / "run", device="cpu")
    assert not (tmp_path / "run" / "initial_weights.json").exists()
    with pytest.raises(ConfigError, match=r"model: set weights \(of the whole network\) or backbone_weights, not both"):
        load_recipe("tiny", {"data.root": str(scenes), "model.weights": "a.pth", "model.backbone_weights": "b.pth"})


@pytest.mark.parametrize("as_text", [False, True])
def test_weights_replace_the_backbone_weights_of_the_recipe(as_text):
    def load(**changes):
        notes = []
        overrides = {"data.root": "/data", **{key.replace("__", "."): value for key, value in changes.items()}}
        given = [f"{key}={value}" for key, value in overrides.items()] if as_text else overrides
        return load_recipe("cityscapes/pspnet-r50-d8", given, note=notes.append).model, notes

    model, notes = load(model__weights="fast-scnn-camvid")
    assert (model.weights, model.backbone_weights) == ("fast-scnn-camvid", None)
    (note,) = notes
    assert note.startswith("model.weights replaces the recipe's model.backbone_weights (https://")
    model, notes = load(batch_size=4)
    assert (model.weights, notes) == (None, [])
    assert model.backbone_weights.startswith("https://")
    assert load(model__weights="a-name", model__backbone_weights="null" if as_text else None)[1] == []
    with pytest.raises(ConfigError, match="or backbone_weights, not both"):
        load(model__weights="a-name", model__backbone_weights="b.pth")


def test_a_recipe_that_extends_another_replaces_what_its_network_starts_from(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text("extends: cityscapes/pspnet-r50-d8\nmodel: {weights: a-name}\n")
    model = load_recipe(path, {"data.root": "/data"}).model
    assert (model.weights, model.backbone_weights) == ("a-name", None)
    model = load_recipe(path, {"data.root": "/data", "model.backbone_weights": "/b.pth"}).model
    assert (model.weights, model.backbone_weights) == (None, "/b.pth")
    path.write_text("extends: cityscapes/pspnet-r50-d8\nmodel: {weights: a-name, backbone_weights: b.pth}\n")
    with pytest.raises(ConfigError, match="or backbone_weights, not both"):
        load_recipe(path, {"data.root": "/data"})


def test_a_name_stays_a_name_and_a_file_becomes_absolute(scenes, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def weights(value):
        return load_recipe("tiny", {"data.root": str(scenes), "model.weights": value}).model.weights

    assert weights("fast-scnn-camvid") == "fast-scnn-camvid"
    assert weights("https://example.org/a.pth") == "https://example.org/a.pth"
    assert weights("a.pth") == str(tmp_path / "a.pth")
    (tmp_path / "weights").touch()
    assert weights("weights") == str(tmp_path / "weights")

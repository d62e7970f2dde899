"""Checkpoints of every layout, whole and broken, plain and wrapped."""

import json
import os

import pytest
import torch

from rapidseg.core.errors import ConfigError, ModelFileError
from rapidseg.core.labels import CITYSCAPES, LabelSet
from rapidseg.importing import load_checkpoint
from rapidseg.importing.layouts import LAYOUTS
from rapidseg.models import create_model, save_model


def published_state(layout, num_classes=19):
    """A checkpoint in a source's own names, made by turning the layout's rules round on the names of our model."""
    heads = tuple(feature for _, features in layout.aux_markers for feature in features)
    model = create_model(layout.architecture, num_classes, variant=layout.variant, aux_heads=heads)
    state = {}
    for name, tensor in model.state_dict().items():
        state[_their_name(layout, name)] = tensor
    return state


def _their_name(layout, ours):
    import re

    for pattern, replacement in layout.rules:
        names = re.findall(r"\(([a-z_|]+)\)", pattern)
        for suffix in names[0].split("|") if names else [""]:
            theirs = re.sub(r"\([a-z_|]+\)", suffix, pattern).replace("\\", "")
            if re.sub(pattern, replacement, theirs) == ours:
                return theirs
    raise AssertionError(f"no rule gives {ours}")


@pytest.fixture(params=LAYOUTS, ids=[layout.source for layout in LAYOUTS])
def layout(request):
    return request.param


def test_every_tensor_finds_its_place(layout, tmp_path):
    state = published_state(layout)
    torch.save(state, tmp_path / "model.pth")
    model = load_checkpoint(tmp_path / "model.pth")
    assert model.spec.source == layout.source
    assert model.spec.labels == CITYSCAPES
    assert not model.training
    for name, tensor in state.items():
        assert torch.equal(model.state_dict()[layout.rename(name)], tensor)


@pytest.mark.parametrize("wrap", ["state_dict", "model", "prefix", "compiled", "no counters"])
def test_wrapped_and_prefixed_checkpoints_are_understood(wrap, tmp_path):
    state = published_state(LAYOUTS[1])
    content = {
        "state_dict": {"epoch": 3, "state_dict": state},
        "model": {"model": state, "optimizer": {}},
        "prefix": {f"module.{name}": tensor for name, tensor in state.items()},
        "compiled": {"state_dict": {f"module._orig_mod.{name}": tensor for name, tensor in state.items()}},
        "no counters": {n: tensor for n, tensor in state.items() if not n.endswith("num_batches_tracked")},
    }[wrap]
    torch.save(content, tmp_path / "model.pth")
    assert load_checkpoint(tmp_path / "model.pth").spec.source == LAYOUTS[1].source


def test_class_names_are_taken_or_made(tmp_path):
    torch.save(published_state(LAYOUTS[0], num_classes=3), tmp_path / "model.pth")
    assert load_checkpoint(tmp_path / "model.pth").spec.labels.names == ("class_0", "class_1", "class_2")
    labels = LabelSet(names=("a", "b", "c"), palette=((1, 1, 1), (2, 2, 2), (3, 3, 3)))
    assert load_checkpoint(tmp_path / "model.pth", labels=labels).spec.labels == labels
    with pytest.raises(ConfigError, match="has 3 classes, but labels names 19"):
        load_checkpoint(tmp_path / "model.pth", labels=CITYSCAPES)


def test_missing_tensors_are_listed(tmp_path):
    state = published_state(LAYOUTS[0])
    del state["backbone.feature_fusion.dwconv.conv.weight"]
    torch.save(state, tmp_path / "model.pth")
    with pytest.raises(ModelFileError, match=r"1 missing: fusion.depthwise.conv.weight"):
        load_checkpoint(tmp_path / "model.pth")


def test_unknown_names_are_refused_with_the_nearest_layout(tmp_path):
    torch.save({"encoder.weight": torch.zeros(3)}, tmp_path / "model.pth")
    with pytest.raises(ModelFileError, match=r"unknown tensor names \(encoder.weight, ...\); known layouts: .*nearest"):
        load_checkpoint(tmp_path / "model.pth")


def test_a_cut_file_is_refused(tmp_path):
    torch.save(published_state(LAYOUTS[0]), tmp_path / "model.pth")
    content = (tmp_path / "model.pth").read_bytes()
    for length in (0, 100, len(content) // 2, len(content) - 10):
        (tmp_path / "cut.pth").write_bytes(content[:length])
        with pytest.raises(ModelFileError, match=r"cut.pth: (not a readable|cannot be read)"):
            load_checkpoint(tmp_path / "cut.pth")


class _RunsCode:
    def __reduce__(self):
        return os.mkdir, ("this-must-not-be-made",)


def test_code_in_a_file_is_never_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": published_state(LAYOUTS[0]), "extra": _RunsCode()}, "model.pth")
    with pytest.raises(ModelFileError, match="would run code of its own, which rapidseg never does"):
        load_checkpoint("model.pth")
    assert not (tmp_path / "this-must-not-be-made").exists()


@pytest.mark.parametrize("content", [[1, 2], {"state_dict": {"a": 1}}, torch.zeros(3)])
def test_a_file_without_tensors_by_name_is_refused(content, tmp_path):
    torch.save(content, tmp_path / "model.pth")
    with pytest.raises(ModelFileError, match="holds no dictionary of tensors"):
        load_checkpoint(tmp_path / "model.pth")


def test_own_files_are_read_and_keep_their_labels(tmp_path):
    model = create_model("fast-scnn", labels=CITYSCAPES, width=0.25)
    save_model(model, tmp_path / "model.safetensors")
    assert load_checkpoint(tmp_path / "model.safetensors").spec.labels == CITYSCAPES
    with pytest.raises(ConfigError, match="carries its own labels"):
        load_checkpoint(tmp_path / "model.safetensors", labels=CITYSCAPES)


def test_a_published_cityscapes_checkpoint_is_read(cityscapes_weights):
    model = load_checkpoint(cityscapes_weights)
    assert (model.spec.source, model.spec.align_corners) == ("Tramac/Fast-SCNN-pytorch", True)
    assert json.loads(model.spec.to_json())["labels"]["names"][0] == "road"

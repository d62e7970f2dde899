"""Checkpoints of every layout: wrapped, prefixed, averaged, and with tensors that do not fit."""

import json

import pytest
import safetensors.torch
import torch

from rapidseg.core.errors import ConfigError, InputError, ModelFileError
from rapidseg.core.labels import CAMVID, CITYSCAPES, LabelSet
from rapidseg.importing import load_checkpoint
from rapidseg.models import create_model, save_model
from tests.support.published import FAST_SCNN, published_state

TRAMAC = "Tramac/Fast-SCNN-pytorch"


@pytest.fixture(scope="module")
def tramac():
    """A checkpoint of one source; tests take copies of it."""
    torch.manual_seed(0)
    return published_state("tramac")


@pytest.fixture
def load(tmp_path):
    """Saves a content and loads it; what was decided is in `load.notes`."""

    def load(content, **options):
        torch.save(content, tmp_path / "model.pth")
        load.notes = []
        return load_checkpoint(tmp_path / "model.pth", note=load.notes.append, **options)

    return load


def prefixed(prefix, state):
    return {prefix + name: tensor for name, tensor in state.items()}


def shifted(state):
    """Other weights of the same network."""
    return {name: tensor + 1 if tensor.is_floating_point() else tensor for name, tensor in state.items()}


def holds(model, state):
    """Whether a model has exactly these weights."""
    layout = FAST_SCNN["tramac"]
    ours = model.state_dict()
    return all(torch.equal(ours[layout.rename(name)], tensor) for name, tensor in state.items())


@pytest.mark.parametrize("variant", FAST_SCNN)
def test_every_tensor_finds_its_place(variant, load):
    state, layout = published_state(variant), FAST_SCNN[variant]
    model = load(state)
    assert model.spec.source == layout.source
    assert model.spec.labels == CITYSCAPES
    assert not model.training
    for name, tensor in state.items():
        assert torch.equal(model.state_dict()[layout.rename(name)], tensor)


WRAPPINGS = {
    "state_dict": lambda s: {"epoch": 3, "state_dict": s},
    "model_state_dict": lambda s: {"model_state_dict": s, "optimizer_state_dict": {"state": {0: s}}},
    "model": lambda s: {"model": s, "optimizer": {"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": []}},
    "net": lambda s: {"net": s, "acc": 0.5},
    "nested": lambda s: {"checkpoint": {"model": {"state_dict": s}}, "args": {"lr": 0.1}},
    "DataParallel": lambda s: prefixed("module.", s),
    "compiled": lambda s: {"state_dict": prefixed("module._orig_mod.", s)},
    "Lightning": lambda s: {
        "pytorch-lightning_version": "2.6",
        "state_dict": prefixed("model.", s),
        "optimizer_states": [{"state": {0: {"momentum_buffer": torch.zeros(3)}}}],
        "callbacks": {"ModelCheckpoint": {"best_model_score": torch.tensor(0.5)}},
    },
    "a prefix nobody knows": lambda s: {"state_dict": prefixed("segmenter.core.", s)},
    "prefixes here and there": lambda s: {
        ("module." if i % 2 else "model.module.") + name if i % 3 else name: t for i, (name, t) in enumerate(s.items())
    },
    "the same twice": lambda s: {"state_dict": {**s, **prefixed("module.", s)}},
    "no counters": lambda s: {n: t for n, t in s.items() if not n.endswith("num_batches_tracked")},
    "tallies of thop": lambda s: {**s, "total_ops": torch.zeros(1), "auxlayer.0.total_ops": torch.zeros(1)},
    "parameters": lambda s: {n: torch.nn.Parameter(t) if t.is_floating_point() else t for n, t in s.items()},
}


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_wrapped_and_prefixed_checkpoints_are_understood(wrapping, load, tramac):
    model = load(WRAPPINGS[wrapping](tramac))
    assert model.spec.source == TRAMAC
    assert holds(model, {n: t for n, t in tramac.items() if not n.endswith("num_batches_tracked")})


AVERAGES = {  # how a file holds the average `a` beside the weights of training `w`
    "state_dict_ema": lambda a, w: {"state_dict": w, "state_dict_ema": a, "optimizer": {}},
    "model_ema": lambda a, w: {"model": w, "model_ema": a},
    "ema": lambda a, w: {"model": w, "ema": {"module": a, "updates": torch.tensor(3)}},
    "ema_state_dict": lambda a, w: {"state_dict": w, "ema_state_dict": prefixed("module.", a)},
    "a second module": lambda a, w: {"state_dict": {**prefixed("model.", w), **prefixed("ema_model.module.", a)}},
    # These two save the average as `state_dict`, and the weights of training elsewhere.
    "mmengine": lambda a, w: {
        "meta": {},
        "state_dict": a,
        "ema_state_dict": {"steps": torch.tensor(3), **prefixed("module.", w)},
    },
    "Lightning": lambda a, w: {
        "state_dict": prefixed("model.", a),
        "current_model_state": prefixed("model.", w),
        "averaging_state": {"n_averaged": torch.tensor(3)},
    },
}


@pytest.mark.parametrize("form", AVERAGES)
def test_the_moving_average_is_taken_unless_the_other_copy_is_wanted(form, load, tramac):
    content = AVERAGES[form](tramac, shifted(tramac))
    assert holds(load(content), tramac)
    assert len([note for note in load.notes if "the moving average" in note]) == 1
    assert holds(load(content, ema=True), tramac)
    assert holds(load(content, ema=False), shifted(tramac))
    assert not any("moving average" in note for note in load.notes)


def test_an_average_of_parameters_alone_takes_the_other_copys_statistics(load, tramac):
    parameters = {n: t for n, t in tramac.items() if not n.endswith(("_mean", "_var", "_tracked"))}
    other = shifted(tramac)
    model = load({"model": other, "ema": parameters})
    assert holds(model, parameters)
    assert holds(model, {name: tensor for name, tensor in other.items() if name not in parameters})


def test_the_second_copy_in_buffers_of_mmcv_is_understood(load, tramac):
    parameters = {n: t for n, t in shifted(tramac).items() if not n.endswith(("_mean", "_var", "_tracked"))}
    buffers = {f"ema_{name.replace('.', '_')}": tensor for name, tensor in parameters.items()}
    content = {"state_dict": {**tramac, **buffers}}
    assert holds(load(content), tramac)
    assert "To use the other copy (state_dict, buffers ema_*), pass --no-ema (ema=False in Python)" in load.notes[0]
    assert holds(load(content, ema=False), parameters)


def test_a_copy_that_is_not_there_is_refused(load, tramac):
    with pytest.raises(ConfigError, match="has no moving average of the weights; remove --ema"):
        load({"state_dict": tramac}, ema=True)
    with pytest.raises(ConfigError, match="has only the moving average of the weights; remove --no-ema"):
        load({"ema": tramac}, ema=False)
    assert holds(load({"ema": tramac}), tramac)


def test_several_networks_in_a_file_are_told(load, tramac):
    assert holds(load({"first": tramac, "second": shifted(tramac)}), tramac)
    assert "the file has 2 networks (first, second); the first is used" in load.notes


def test_one_tensor_with_two_values_is_refused(load, tramac):
    with pytest.raises(ModelFileError, match=r"has \S+ twice, with and without a prefix, and with different values"):
        load({**tramac, **prefixed("module.", shifted(tramac))})


def test_half_precision_becomes_float32(load, tramac):
    half = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in tramac.items()}
    model = load(half)
    assert all(p.dtype == torch.float32 for p in model.parameters())
    assert holds(model, {name: tensor.float() for name, tensor in half.items() if tensor.is_floating_point()})


def test_class_names_are_the_users_the_files_or_made(load):
    state = published_state("openmmlab", num_classes=3)
    assert load(state).spec.labels.names == ("class_0", "class_1", "class_2")
    (note,) = load.notes
    assert note.startswith("the file does not name its 3 classes; they are called class_0 and so on. To name them: ")
    assert note.endswith(" --labels NAMES (in Python: labels= of rapidseg.import_checkpoint)")
    assert "rapidseg import " in note  # the command that has the option, as `predict` and `load` have none
    labels = LabelSet(names=("a", "b", "c"), palette=((1, 1, 1), (2, 2, 2), (3, 3, 3)))
    assert load(state, labels=labels).spec.labels == labels
    assert load(state, labels="road, car,sky").spec.labels.names == ("road", "car", "sky")
    assert load(state, labels=["x", "y", "z"]).spec.labels.names == ("x", "y", "z")
    with pytest.raises(ConfigError, match="has 3 classes, but labels names 19; pass 3"):
        load(state, labels="cityscapes")


@pytest.mark.parametrize("metadata", ["mmcv", "mmengine"])
def test_class_names_and_colors_of_openmmlab_are_read(metadata, load):
    names, palette = ["road", "car", "sky"], [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
    meta = {"CLASSES": tuple(names), "PALETTE": palette, "mmseg_version": "0.11.0", "config": "..."}
    if metadata == "mmengine":
        meta = {"dataset_meta": {"classes": names, "palette": palette, "reduce_zero_label": False}, "cfg": "..."}
    labels = load({"meta": meta, "state_dict": published_state("openmmlab", num_classes=3)}).spec.labels
    assert labels == LabelSet(names=tuple(names), palette=tuple(map(tuple, palette)))
    assert load.notes == []


@pytest.mark.parametrize(
    ("meta", "names"),
    [
        ({"CLASSES": ["a", "b", "c"], "PALETTE": None}, ("a", "b", "c")),
        ({"CLASSES": ["a", "b", "c"], "PALETTE": [[0, 0, 0]]}, ("a", "b", "c")),
        ({"CLASSES": ["a", "a", "c"]}, ("class_0", "class_1", "class_2")),
        ({"CLASSES": ["a", "b"]}, ("class_0", "class_1", "class_2")),
        ({"CLASSES": [1, 2, 3]}, ("class_0", "class_1", "class_2")),
    ],
)
def test_metadata_that_does_not_fit_is_not_taken(meta, names, load):
    state = published_state("openmmlab", num_classes=3)
    assert load({"meta": meta, "state_dict": state}).spec.labels.names == names


def test_labels_may_be_a_known_set_or_a_description(load, tmp_path):
    state = published_state("leftthomas", num_classes=11)
    assert load(state, labels="camvid").spec.labels == CAMVID
    assert load(state, labels="synth-as-camvid").spec.labels.num_classes == 11
    description = "classes: [a, b, c, d, e, f, g, h, i, j, k]\nsplits: {train: {images: images, masks: masks}}\n"
    (tmp_path / "my.yaml").write_text(description)
    assert load(state, labels=tmp_path / "my.yaml").spec.labels.names == tuple("abcdefghijk")
    with pytest.raises(
        InputError, match=r"unknown labels 'camvit'; pass cityscapes, camvid, .* \(did you mean 'camvid'"
    ):
        load(state, labels="camvit")
    with pytest.raises(InputError, match="labels a, a cannot be used: duplicate class name: a"):
        load(state, labels="a,a")
    with pytest.raises(ConfigError, match=r"cannot read missing\.yaml"):
        load(state, labels="missing.yaml")


def test_what_does_not_fit_is_listed(load, tramac):
    state = dict(tramac)
    del state["feature_fusion.dwconv.conv.0.weight"]
    state["feature_fusion.other"] = torch.zeros(2)
    state["classifier.dsconv1.conv.0.weight"] = torch.zeros(2, 3)
    state["classifier.dsconv2.conv.0.weight"] = state["classifier.dsconv2.conv.0.weight"].to(torch.int8)
    with pytest.raises(ModelFileError) as caught:
        load(state)
    assert str(caught.value).endswith(
        "model.pth (read as fast-scnn of Tramac/Fast-SCNN-pytorch): the tensors do not fit fast-scnn; "
        "1 missing: fusion.depthwise.conv.weight; 1 unexpected: feature_fusion.other; "
        "1 misshapen: classifier.0.depthwise.conv.weight (2, 3) instead of (128, 1, 3, 3); "
        "1 of another type: classifier.1.depthwise.conv.weight torch.int8 instead of torch.float32"
    )


def test_a_dozen_of_each_kind_are_listed(load, tramac):
    few = {name: tensor for name, tensor in tramac.items() if not name.startswith("global_feature_extractor")}
    with pytest.raises(ModelFileError, match=r"; 160 missing: (\S+, ){11}\S+ and 148 more$"):
        load(few)


def test_renamed_tensors_are_listed_with_the_nearest_layout(load, tramac):
    state = {name.replace("classifier.conv.1", "classifier.last"): tensor for name, tensor in tramac.items()}
    with pytest.raises(ModelFileError) as caught:
        load(state)
    message = str(caught.value)
    assert (
        "unknown tensor names. The nearest layout, fast-scnn of Tramac/Fast-SCNN-pytorch, knows 99% of them" in message
    )
    assert "2 missing: classifier.3.weight, classifier.3.bias" in message
    assert "2 unexpected: classifier.last.weight, classifier.last.bias" in message


def test_another_model_is_refused_with_the_nearest_layout(load):
    with pytest.raises(ModelFileError, match=r"unknown tensor names \(encoder.weight, ...\); known layouts: .*nearest"):
        load({"encoder.weight": torch.zeros(3)})


def test_a_state_of_training_names_the_files_to_give(load):
    state = prefixed("model.", create_model("fast-scnn", 3, width=0.25).state_dict())
    with pytest.raises(
        ModelFileError, match=r"is the state of a training run, for resuming it; pass best.safetensors or last"
    ):
        load({"pytorch-lightning_version": "2.6", "random_state": {}, "state_dict": state})


def test_values_that_are_no_numbers_are_refused(load, tramac):
    state = dict(tramac) | {"classifier.conv.1.bias": torch.full((19,), float("nan"))}
    with pytest.raises(ModelFileError, match=r"NaN or infinite values in 1 of \d+ tensors, such as classifier"):
        load(state)


@pytest.mark.parametrize("num_classes", [1, 300])
def test_an_impossible_number_of_classes_is_refused(num_classes, load, tramac):
    state = dict(tramac) | {"classifier.conv.1.weight": torch.zeros(num_classes, 128, 1, 1)}
    with pytest.raises(ModelFileError, match=f"its classifier has {num_classes} classes; 2 to 255 are possible"):
        load(state)


@pytest.mark.parametrize("content", [[1, 2], {}, {"state_dict": {"a": 1}}, torch.zeros(3), None])
def test_a_file_without_tensors_by_name_is_refused(content, load):
    with pytest.raises(ModelFileError, match="holds no dictionary of tensors; pass a checkpoint with a state_dict"):
        load(content)


def test_safetensors_in_a_sources_names_are_read_under_any_file_name(tramac, tmp_path):
    for name in ("model.safetensors", "model.pth", "model"):
        safetensors.torch.save_file(prefixed("module.", tramac), tmp_path / name)
        model = load_checkpoint(tmp_path / name)
        assert model.spec.source == TRAMAC
        assert holds(model, tramac)


def test_own_files_are_read_and_keep_their_labels(tmp_path):
    model = create_model("fast-scnn", labels=CITYSCAPES, width=0.25)
    save_model(model, tmp_path / "model.safetensors")
    assert load_checkpoint(tmp_path / "model.safetensors").spec.labels == CITYSCAPES
    for option in ({"labels": CITYSCAPES}, {"ema": True}):
        with pytest.raises(ConfigError, match=f"has its own labels .*; remove {next(iter(option))}"):
            load_checkpoint(tmp_path / "model.safetensors", **option)


def test_a_published_cityscapes_checkpoint_is_read(cityscapes_weights):
    model = load_checkpoint(cityscapes_weights)
    assert (model.spec.source, model.spec.align_corners) == (TRAMAC, True)
    assert json.loads(model.spec.to_json())["labels"]["names"][0] == "road"

"""ImageNet weights in the names of three sources, into backbones of small networks, and into a training run."""

import argparse
import hashlib

import pytest
import torch

from rapidseg.core.errors import ConfigError, ModelFileError
from rapidseg.core.progress import NullProgress
from rapidseg.importing import load_backbone, load_checkpoint
from rapidseg.models import create_model, load_model
from rapidseg.training import load_recipe, train
from rapidseg.training.preparation import prepare
from tests.support.block_scenes import write_block_scenes
from tests.support.web_server import Site, serve

STEMS = {  # source -> options of the model, and its names for the parts of the stem
    "torchvision": ({"stem": "plain"}, {"stem.0.conv": "conv1", "stem.0.norm": "bn1"}),
    "openmmlab": (
        {"stem": "deep", "stem_width": 32},
        {f"stem.{i}.{part}": f"stem.{3 * i + n}" for i in range(3) for n, part in enumerate(("conv", "norm"))},
    ),
    "zhang": (
        {"stem": "deep", "stem_width": 64},
        {
            **{f"stem.{i}.{part}": f"conv1.{3 * i + n}" for i in range(3) for n, part in enumerate(("conv", "norm"))},
            "stem.2.norm": "bn1",
        },
    ),
}


def make(source, **options):
    return create_model("pspnet", 3, **{**STEMS[source][0], "width": 0.25, "aux_head": False, **options})


def imagenet(source, model):
    """Other weights for a model's backbone, as a source names them, with a classifier of ImageNet's 1000 classes."""
    state = {}
    for name, tensor in model.backbone.state_dict().items():
        for ours, theirs in STEMS[source][1].items():
            if name.startswith(ours + "."):
                name = theirs + name.removeprefix(ours)
                break
        state[name] = torch.randn_like(tensor) if tensor.is_floating_point() else tensor + 5
    return state | {"fc.weight": torch.zeros(1000, 512), "fc.bias": torch.zeros(1000)}


@pytest.fixture(params=STEMS)
def source(request):
    return request.param


@pytest.fixture
def saved(tmp_path):
    def save(content, name="resnet50.pth"):
        torch.save(content, tmp_path / name)
        return tmp_path / name

    return save


def test_values_that_only_code_could_read_are_named(saved):
    model, notes = make("torchvision"), []
    state = imagenet("torchvision", model)
    file = saved({"state_dict": state, "args": argparse.Namespace(lr=0.1)})
    load_backbone(model, file, note=notes.append)
    skipped = f"{file}: skipped what only code could read: argparse.Namespace; the weights do not need it"
    assert skipped in notes
    load_backbone(model, saved({"state_dict": state}), note=notes.append)
    assert notes.count(skipped) == 1


@pytest.mark.parametrize("wrapping", ["plain", "state_dict", "module.", "backbone.", "no counters"])
def test_every_tensor_of_the_backbone_is_replaced_and_no_other(source, wrapping, saved):
    model = make(source)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state = imagenet(source, model)
    file = {
        "plain": state,
        "state_dict": {"state_dict": state, "meta": {}},
        "module.": {f"module.{name}": tensor for name, tensor in state.items()},
        "backbone.": {f"backbone.{name}": tensor for name, tensor in state.items() if not name.startswith("fc.")},
        "no counters": {n: tensor for n, tensor in state.items() if not n.endswith("num_batches_tracked")},
    }[wrapping]
    load_backbone(model, saved(file))
    for name, tensor in model.state_dict().items():
        if not name.startswith("backbone."):
            assert torch.equal(tensor, before[name]), name
            continue
        theirs = name.removeprefix("backbone.")
        for ours, named in STEMS[source][1].items():
            if theirs.startswith(ours + "."):
                theirs = named + theirs.removeprefix(ours)
                break
        if name.endswith("num_batches_tracked") and wrapping == "no counters":
            assert tensor == 0
        else:
            assert torch.equal(tensor, state[theirs]), name


def test_every_depth_and_both_strides_take_the_same_weights(saved):
    for options in (
        {"backbone": "resnet18"},
        {"backbone": "resnet34"},
        {"backbone": "resnet101"},
        {"output_stride": 32},
    ):
        model = make("openmmlab", **options)
        state = imagenet("openmmlab", model)
        use = load_backbone(model, saved(state))
        assert torch.equal(
            model.backbone.layer3[-1].conv2.weight, state[f"layer3.{len(model.backbone.layer3) - 1}.conv2.weight"]
        )
        assert len(use.used) == len(model.backbone.state_dict())
        assert set(use.kept_random) == {name for name in model.state_dict() if not name.startswith("backbone.")}
        assert use.unused == {"fc.weight": "ImageNet's classifier", "fc.bias": "ImageNet's classifier"}


def test_weights_of_another_stem_or_depth_say_which_options_they_need(saved):
    deep = saved(imagenet("openmmlab", make("openmmlab")))
    with pytest.raises(ModelFileError) as caught:
        load_backbone(make("torchvision"), deep)
    message = str(caught.value)
    assert "does not fit the backbone of the model. These weights need the model options stem: deep; 10 une" in message
    assert "10 unexpected: stem.1.conv.weight" in message  # without counters
    plain = saved(imagenet("torchvision", make("torchvision", backbone="resnet101")))
    with pytest.raises(
        ModelFileError, match="need the model options backbone: resnet101, stem: plain; 10 missing: stem"
    ):
        load_backbone(make("openmmlab"), plain)
    for depth in ("resnet18", "resnet34"):
        basic = saved(imagenet("torchvision", make("torchvision", backbone=depth)))
        with pytest.raises(
            ModelFileError, match=rf"need the model options backbone: {depth}; \d+ missing: layer1\.0\.conv3"
        ):
            load_backbone(make("torchvision"), basic)
    wide = saved(imagenet("zhang", make("zhang", width=1)))
    with pytest.raises(ModelFileError, match=r"need the model options stem_width: 64; \d+ misshapen: stem\.0\.conv"):
        load_backbone(make("openmmlab", width=1), wide)


def test_what_is_missing_or_more_is_listed_and_nothing_is_changed(saved):
    model = make("torchvision")
    before = model.backbone.layer1[0].conv1.weight.clone()
    state = imagenet("torchvision", model)
    del state["layer2.0.conv2.weight"]
    state["head.weight"] = torch.zeros(2)
    with pytest.raises(ModelFileError, match=r"1 missing: layer2\.0\.conv2\.weight; 1 unexpected: head\.weight"):
        load_backbone(model, saved(state))
    assert torch.equal(model.backbone.layer1[0].conv1.weight, before)


def test_a_file_or_a_network_without_a_backbone_is_refused(saved):
    with pytest.raises(ModelFileError, match=r"is not a ResNet backbone \(its tensors: a\); pass ImageNet weights"):
        load_backbone(make("torchvision"), saved({"a": torch.zeros(3)}))
    with pytest.raises(ModelFileError, match=r"is not a ResNet backbone \(its tensors: none\)"):
        load_backbone(make("torchvision"), saved({}))
    with pytest.raises(
        ConfigError, match="fast-scnn has no backbone to load weights into; remove backbone_weights, or"
    ):
        load_backbone(create_model("fast-scnn", 3, width=0.25), saved({}))


def test_a_backbone_is_no_checkpoint_and_says_what_it_is_for(source, saved):
    path = saved(imagenet(source, make(source)))
    with pytest.raises(ModelFileError, match=r"is only a backbone \(ResNet with .*\), .* model\.backbone_weights, or"):
        load_checkpoint(path)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    return write_block_scenes(tmp_path_factory.mktemp("scenes"))


def recipe(scenes, weights, *overrides):
    model = (
        f"model={{name: pspnet, options: {{stem: plain, width: 0.25, aux_head: false}}, backbone_weights: {weights}}}"
    )
    return load_recipe(
        "tiny",
        [f"data.root={scenes}", model, "loss.head_weights={logits: 1.0}", "iterations=3", *overrides],
    )


class Downloads(NullProgress):
    """Remembers the bytes of downloads."""

    def __init__(self):
        self.seen = []

    def update(self, task, done, total, *, unit="items"):
        if unit == "bytes":
            self.seen.append((done, total))


def test_a_run_begins_from_the_weights_of_an_address(scenes, saved, tmp_path, monkeypatch):
    monkeypatch.setenv("RAPIDSEG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    state = imagenet("torchvision", make("torchvision"))
    content = saved(state).read_bytes()
    name = f"/resnet50-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    downloads = Downloads()
    with serve(Site({name: content})) as site:
        prepared = prepare(recipe(scenes, site.url + name), "cpu", progress=downloads)
        prepared.loader.close()
    model = prepared.module.model
    assert torch.equal(model.backbone.layer4[2].conv3.weight, state["layer4.2.conv3.weight"])
    assert model.spec.source.endswith(f", starting from the backbone {name.removeprefix('/')}")
    assert model.training
    assert downloads.seen[-1] == (len(content), len(content))


def test_a_run_goes_on_without_the_file(scenes, saved, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = make("torchvision")  # with its own weights: random ones would let the loss grow beyond measure
    names = STEMS["torchvision"][1]
    state = {}
    for name, tensor in model.backbone.state_dict().items():
        stem = next((ours for ours in names if name.startswith(ours + ".")), None)
        state[name if stem is None else names[stem] + name.removeprefix(stem)] = tensor
    path = saved(state)
    wanted = recipe(scenes, path.name, "evaluate_every=3", "save_every=1")
    assert wanted.model.backbone_weights == str(path)  # wherever it goes on
    train(wanted, "run", device="cpu")
    path.unlink()
    report = train(None, "run", resume=True, device="cpu")
    assert report.iterations == 3
    assert load_model(report.last_weights).spec.source.endswith(", starting from the backbone resnet50.pth")
    with pytest.raises(ModelFileError, match="no such file"):
        train(wanted, "second", device="cpu")
    assert not (tmp_path / "second").exists()

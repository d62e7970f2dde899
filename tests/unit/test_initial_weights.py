"""Where a network's weights start: from checkpoints, the built-in model and encoders and which of them a run used."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import rapidseg
from rapidseg.core.encoder_spec import ENCODER_KEY, EncoderSpec
from rapidseg.core.errors import ConfigError, ModelFileError
from rapidseg.core.labels import CAMVID, LabelSet
from rapidseg.importing import initialize_from, load_backbone, load_checkpoint
from rapidseg.importing.built_in import load_built_in
from rapidseg.models import create_model, load_model, save_model
from rapidseg.models.encoder_file import is_encoder_file, read_encoder, save_encoder
from rapidseg.models.resnet import ResNet
from rapidseg.scenes import draw_scene
from tests.support.published import published_state

MEAN, STD = (125.3, 123.0, 113.9), (51.6, 50.9, 51.3)  # of CIFAR-10


def fast_scnn(num_classes=3, **options):
    return create_model("fast-scnn", num_classes, **{"width": 0.25, "aux_heads": ("deep",), **options})


def random(model):
    """Changes every tensor, statistics of normalization included."""
    for tensor in model.state_dict().values():
        if tensor.is_floating_point():
            tensor.uniform_(0.1, 1)
    return model


@pytest.fixture
def notes():
    return []


@pytest.fixture
def saved(tmp_path):
    def save(model, **spec):
        model.spec = model.spec.model_copy(update=spec)
        save_model(model, tmp_path / "model.safetensors")
        return tmp_path / "model.safetensors"

    return save


def test_the_same_network_starts_from_every_tensor(saved, notes):
    given = random(fast_scnn())
    path = saved(given, trained_on=("streets/train",), mean=MEAN, std=STD)
    model = fast_scnn()
    use = initialize_from(model, path, note=notes.append)
    assert all(torch.equal(tensor, given.state_dict()[name]) for name, tensor in model.state_dict().items())
    assert (use.used, use.kept_random, use.unused, notes) == (tuple(model.state_dict()), (), {}, [])
    count = len(use.used)
    assert use.summary() == f"{count} of {count} tensors start from {path}"
    spec = use.updated(model.spec.model_copy(update={"trained_on": ("camvid/train",)}))
    assert (spec.mean, spec.std, spec.trained_on) == (MEAN, STD, ("streets/train", "camvid/train"))


@pytest.mark.parametrize("labels", [LabelSet.generic(5), LabelSet(names=("a", "b", "c"), palette=((0, 0, 0),) * 3)])
def test_class_layers_of_other_classes_are_skipped_and_that_is_said(labels, saved, notes):
    given = random(create_model("fast-scnn", labels=labels, width=0.25, aux_heads=("deep",)))
    model = fast_scnn()
    before = model.classifier[3].weight.clone()
    use = initialize_from(model, saved(given), note=notes.append)
    skipped = [
        "classifier.3.weight",
        "classifier.3.bias",
        "aux_heads.0.classifier.weight",
        "aux_heads.0.classifier.bias",
    ]
    assert sorted(use.kept_random) == sorted(skipped)
    assert use.unused == dict.fromkeys(skipped, "other classes")
    assert torch.equal(model.classifier[3].weight, before)
    assert torch.equal(model.fusion.deep.conv.weight, given.fusion.deep.conv.weight)
    assert notes == [
        f"the weights are for {labels.num_classes} other classes than the 3 of the data, so the class layers start "
        "from random weights"
    ]
    assert "random start: classifier (2), aux_heads (2); not used from the file: classifier, other classes (2)" in (
        use.summary()
    )


def test_the_branch_that_predicts_classes_is_a_class_layer(saved):
    given = random(create_model("encnet", 4, width=0.25, aux_head=False))
    use = initialize_from(create_model("encnet", 3, width=0.25, aux_head=False), saved(given))
    assert {name.rpartition(".")[0] for name in use.kept_random} == {"head.classifier", "head.se_branch"}


def test_a_published_checkpoint_with_other_options(tmp_path, notes):
    torch.save(published_state("openmmlab"), tmp_path / "openmmlab.pth")
    model = create_model("fast-scnn", labels=CAMVID, aux_heads=())
    use = initialize_from(model, tmp_path / "openmmlab.pth", note=notes.append)
    assert torch.equal(
        model.learning_to_downsample[0].conv.weight,
        load_checkpoint(tmp_path / "openmmlab.pth").learning_to_downsample[0].conv.weight,
    )
    assert any("trained with other options: bottleneck_activation relu6 (here relu)" in note for note in notes)
    # The convolution after pyramid pooling is 3x3 there and 1x1 here: its statistics are of no use either.
    assert {name for name in use.kept_random if name.startswith("pyramid")} == {
        name for name in model.state_dict() if name.startswith("pyramid_pooling.out.")
    }
    assert use.unused["pyramid_pooling.out.conv.weight"] == "another shape"
    assert use.unused["pyramid_pooling.out.norm.running_mean"] == "its convolution is not used"
    assert use.unused["aux_heads.0.conv.conv.weight"] == "no such tensor in the network"


def test_weights_of_another_network_are_refused_and_nothing_is_changed(saved):
    model = create_model("pspnet", 3, width=0.25)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for given, message in (
        (fast_scnn(), "is a fast-scnn, but this run trains a pspnet; pass weights of a pspnet, or set model.name=fast"),
        (
            create_model("pspnet", 3, width=0.25, backbone="resnet18"),
            "has the backbone resnet18, but this run trains re",
        ),
        (
            create_model("pspnet", 3, width=0.125),
            r"its network has width 0\.125, this one 0\.25; set model\.options\.w",
        ),
    ):
        with pytest.raises(ConfigError, match=message):
            initialize_from(model, saved(given))
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    with pytest.raises(ModelFileError, match="is neither a file nor the name of a model"):
        initialize_from(model, "fast-scnn-cityscape")


def test_the_built_in_model_computes_what_its_file_does():
    model = load_built_in("fast-scnn-camvid")
    image = draw_scene(7, 0, (360, 480)).image
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (model.spec.mean, model.spec.std))
    inputs = ((torch.from_numpy(image).permute(2, 0, 1).float() - mean) / std)[None]
    segmenter = rapidseg.load("fast-scnn-camvid", engine="openvino", precision="float32")
    expected = segmenter.engine.run(image[None])
    with torch.no_grad():
        logits = model(inputs)
        assert np.abs(logits.numpy() - expected).max() < 1e-4 * np.abs(expected).max()  # sums in another order
        # Batch normalization with the statistics of a batch computes nearly the same, so training can start from it.
        model.train()
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.eval()
        in_training = model(torch.cat([inputs, inputs.flip(3)]))[:1]
    assert (in_training.argmax(1) == logits.argmax(1)).float().mean() > 0.8

    target = create_model("fast-scnn", labels=CAMVID, aux_heads=("deep", "stem"))
    use = initialize_from(target, "fast-scnn-camvid")
    assert {name.partition(".")[0] for name in use.kept_random} == {"aux_heads"}
    assert use.trained_on
    with pytest.raises(ModelFileError, match="is an INT8 file, whose weights are rounded; pass fast-scnn"):
        initialize_from(target, "fast-scnn-camvid-int8")


def encoder(path, network="resnet18", stem="plain", **changes):
    """Writes an encoder and returns its tensors."""
    if network == "fast-scnn":
        model = random(fast_scnn())
        parts = ("learning_to_downsample.", "global_features.", "pyramid_pooling.")
        state = {name: tensor for name, tensor in model.state_dict().items() if name.startswith(parts)}
        options = model.spec.options
    else:
        state = random(ResNet(network, stem=stem, width=0.25)).state_dict()
        options = {"stem": stem, "width": 0.25}
    state |= {"fc.weight": torch.zeros(16, 128), "fc.bias": torch.zeros(16)}
    values = {"feature_dim": 16, "mean": MEAN, "std": STD, "dataset": "cifar10/train", "scores": {"knn_top1": 0.5}}
    values |= {"network": network, "options": options, "image_size": (32, 32), "method": "instance-discrimination"}
    save_encoder(state, EncoderSpec.model_validate({**values, **changes}), path)
    return state


def test_an_encoder_comes_back_from_disk(tmp_path):
    path = tmp_path / "encoder.safetensors"
    state = encoder(path)
    spec, read = read_encoder(path)
    assert (spec.network, spec.feature_dim, spec.image_size, spec.scores) == (
        "resnet18",
        16,
        (32, 32),
        {"knn_top1": 0.5},
    )
    assert read.keys() == state.keys()
    assert all(torch.equal(tensor, state[name]) for name, tensor in read.items())
    assert is_encoder_file(path)
    changed = {**load_file(path), "fc.bias": torch.ones(16)}
    save_file(changed, path, metadata={ENCODER_KEY: spec.to_json()})
    with pytest.raises(ModelFileError, match="the weights do not match their checksum"):
        read_encoder(path)
    save_file(changed, path, metadata={ENCODER_KEY: '{"network": "resnet19"}'})
    with pytest.raises(
        ModelFileError, match=r"its encoder specification is not valid: the key 'image_size' is missing; "
    ):
        read_encoder(path)
    save_file(changed, path)
    assert not is_encoder_file(path)
    with pytest.raises(
        ModelFileError, match=r"is not an encoder; pass a \.safetensors file that `rapidseg pretrain` wrote"
    ):
        read_encoder(path)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(ModelFileError, match="is not a readable safetensors file"):
        read_encoder(path)
    assert not is_encoder_file(path)
    assert not is_encoder_file(tmp_path / "missing.safetensors")


def import_to_another_file(path):
    return rapidseg.import_checkpoint(path, path.with_name("model.safetensors"))


@pytest.mark.parametrize("reader", [rapidseg.load, load_model, load_checkpoint, import_to_another_file])
def test_an_encoder_is_not_a_segmentation_network(reader, tmp_path):
    path = tmp_path / "encoder.safetensors"
    encoder(path)
    with pytest.raises(
        ModelFileError,
        match=r"is an encoder \(resnet18, pretrained by instance-discrimination\), not a segmentation .*weights",
    ):
        reader(path)


def test_fast_scnn_starts_from_its_encoder(tmp_path, notes):
    state = encoder(tmp_path / "encoder.safetensors", "fast-scnn")
    model = fast_scnn(11)
    use = initialize_from(model, tmp_path / "encoder.safetensors", note=notes.append)
    assert notes == []
    assert set(use.used) == {name for name in state if not name.startswith("fc.")}
    assert all(torch.equal(model.state_dict()[name], state[name]) for name in use.used)
    assert use.unused == dict.fromkeys(("fc.weight", "fc.bias"), "linear layer of pretraining")
    assert {name.partition(".")[0] for name in use.kept_random} == {"fusion", "classifier", "aux_heads"}
    assert (use.mean, use.std, use.trained_on) == (MEAN, STD, ("cifar10/train",))


@pytest.mark.parametrize("initialize", [initialize_from, load_backbone])
@pytest.mark.parametrize("stem", ["plain", "cifar"])
def test_a_backbone_starts_from_an_encoder_of_any_stem(initialize, stem, tmp_path, notes):
    state = encoder(tmp_path / "encoder.safetensors", stem=stem)
    model = create_model("pspnet", 3, backbone="resnet18", stem="plain", width=0.25)
    stem_before = model.backbone.stem[0].norm.weight.clone()
    use = initialize(model, tmp_path / "encoder.safetensors", note=notes.append)
    assert all(torch.equal(model.state_dict()[name], state[name.removeprefix("backbone.")]) for name in use.used)
    layers = {name.split(".")[1] for name in use.used}
    if stem == "plain":
        assert layers == {"stem", "layer1", "layer2", "layer3", "layer4"}
        assert (notes, use.mean) == ([], MEAN)
    else:
        assert layers == {"layer1", "layer2", "layer3", "layer4"}
        assert torch.equal(model.backbone.stem[0].norm.weight, stem_before)
        assert use.unused["backbone.stem.0.norm.weight"] == "another stem"
        assert "the encoder has the stem cifar, the network plain" in notes[0]
        assert use.mean is None  # the stem that expects it is not used
    assert use.unused["fc.weight"] == "linear layer of pretraining"


def test_an_encoder_of_another_network_is_refused(tmp_path):
    path = tmp_path / "encoder.safetensors"
    psp = create_model("pspnet", 3, backbone="resnet34", width=0.25)
    encoder(path)
    with pytest.raises(
        ConfigError, match=r"is an encoder of resnet18, but the backbone of the network is resnet34; set"
    ):
        load_backbone(psp, path)
    with pytest.raises(ConfigError, match="is an encoder of resnet18, which fast-scnn does not have"):
        initialize_from(fast_scnn(), path)
    with pytest.raises(ConfigError, match="fast-scnn has no backbone to load weights into"):
        load_backbone(fast_scnn(), path)
    with pytest.raises(ConfigError, match=r"its network has width 0\.25, this one 0\.125"):
        initialize_from(create_model("pspnet", 3, backbone="resnet18", width=0.125), path)
    encoder(path, "fast-scnn")
    with pytest.raises(
        ConfigError, match="is an encoder of fast-scnn, which pspnet does not have; pass an encoder of re"
    ):
        load_backbone(psp, path)


def test_a_file_in_which_nothing_fits_is_refused(tmp_path):
    path = tmp_path / "encoder.safetensors"
    spec = EncoderSpec(network="fast-scnn", options={"width": 0.25}, image_size=(32, 32), method="supervised")
    counters = {"learning_to_downsample.0.norm.num_batches_tracked": torch.zeros((), dtype=torch.long)}
    save_encoder({"other.weight": torch.zeros(3), **counters}, spec, path)
    with pytest.raises(
        ModelFileError,
        match=r"none of its 2 tensors fits fast-scnn with these options \(other, no such tensor in the ne",
    ):
        initialize_from(fast_scnn(), path)
    save_encoder({"learning_to_downsample.0.conv.weight": torch.full((8, 3, 3, 3), torch.nan)}, spec, path)
    with pytest.raises(ModelFileError, match="NaN or infinite values"):
        initialize_from(fast_scnn(), path)
    assert json.loads(spec.to_json())["format_version"] == 1

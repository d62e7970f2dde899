"""One suite over every architecture and variant: what each must do, whatever it is inside."""

import pytest
import torch

from rapidseg.core.errors import ConfigError, InputError
from rapidseg.core.labels import CAMVID
from rapidseg.losses import HeadLosses, PixelLoss
from rapidseg.models import count_macs, count_parameters, create_model, load_model, save_model
from tests.support.networks import NETWORKS, make_network


@pytest.fixture(params=NETWORKS)
def model(request):
    return make_network(request.param)


@pytest.mark.parametrize("size_hw", [(32, 32), (33, 57), (97, 161), (64, 128)])
def test_logits_stand_at_the_stride_at_any_size(model, size_hw):
    images = torch.randn(2, 3, *size_hw)
    logits = model.eval()(images)
    assert logits.shape[:2] == (2, CAMVID.num_classes)
    for side, out in zip(size_hw, logits.shape[2:], strict=True):
        assert side // model.spec.stride <= out <= -(-side // model.spec.stride)
    assert model.upsample(logits, size_hw).shape == (2, CAMVID.num_classes, *size_hw)


def test_forward_is_the_first_output_in_both_modes(model):
    images = torch.randn(2, 3, 64, 64)
    for training in (True, False):
        model.train(training)
        torch.manual_seed(1)
        logits = model(images)
        torch.manual_seed(1)
        outputs = model.forward_all(images)
        assert next(iter(outputs)) == "logits"
        assert torch.equal(outputs["logits"], logits)


def test_every_parameter_gets_a_gradient(model):
    outputs = model.train().forward_all(torch.randn(2, 3, 64, 96))
    sum(output.square().mean() for output in outputs.values()).backward()
    without = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
    assert without == []


def test_a_training_step_lowers_the_loss_of_its_batch(model):
    images, labels = torch.randn(2, 3, 64, 96), torch.randint(0, CAMVID.num_classes, (2, 64, 96))
    labels[:, :9] = CAMVID.ignore_index
    names = list(model.train().forward_all(images))
    loss = PixelLoss("softmax", num_classes=CAMVID.num_classes, ignore_index=CAMVID.ignore_index)
    losses = HeadLosses(loss, dict.fromkeys(names, 1.0))

    def total():
        torch.manual_seed(1)  # the same dropout
        return losses(model.forward_all(images), labels, model.upsample)[0]

    before = total()
    before.backward()
    # So short a step that to first order the loss falls by 1e-3, some of which curvature takes away. A gradient that is
    # not the loss's own would raise it.
    slope = sum(parameter.grad.square().sum() for parameter in model.parameters())
    torch.optim.SGD(model.parameters(), lr=1e-3 / slope.item()).step()
    assert total() < before


def test_bfloat16_and_channels_last_agree_with_float32(model):
    images = torch.rand(1, 3, 64, 96)
    with torch.inference_mode():
        expected = model.eval()(images)
        last = model.to(memory_format=torch.channels_last)(images.contiguous(memory_format=torch.channels_last))
        with torch.autocast("cpu", torch.bfloat16):
            half = model(images)
    # Sums in another order differ in the last digits of the largest numbers that enter them.
    assert (last - expected).abs().max() < 1e-4 * expected.abs().max()
    # bfloat16 keeps 8 bits of a number; errors of about 30 layers add up to a few per cent of the largest logit.
    assert (half.float() - expected).abs().max() < 0.1 * expected.abs().max()


def test_weights_come_back_from_disk(model, tmp_path):
    model.eval()
    spec = save_model(model, tmp_path / "model.safetensors")
    loaded = load_model(tmp_path / "model.safetensors")
    assert loaded.spec == spec
    assert not loaded.training
    images = torch.randn(1, 3, 64, 64)
    assert torch.equal(loaded(images), model(images))


def test_too_small_or_misshapen_images_are_refused(model):
    with pytest.raises(InputError, match=r"at least 32x32 pixels, not 31x64"):
        model(torch.zeros(1, 3, 31, 64))
    with pytest.raises(InputError, match=r"shape \(N, 3, H, W\), not \(1, 1, 64, 64\)"):
        model(torch.zeros(1, 1, 64, 64))


def test_work_grows_with_pixels_and_leaves_the_model_as_it_was(model):
    model.train()
    small, large = count_macs(model, (64, 64)), count_macs(model, (128, 128))
    assert model.training
    assert 3 < large / small < 4.1
    assert 0 < count_parameters(model) <= count_parameters(model, aux_heads=True)


def test_misspelt_names_are_refused_with_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'fast-scnn'"):
        create_model("fastscnn", 19)
    with pytest.raises(ConfigError, match="did you mean 'openmmlab'"):
        create_model("fast-scnn", 19, variant="openmlab")
    with pytest.raises(ConfigError, match="did you mean 'align_corners'"):
        create_model("fast-scnn", 19, align_corner=True)
    with pytest.raises(ConfigError, match="stem_padding should be 0 or 1, not 3"):
        create_model("fast-scnn", 19, stem_padding=3)
    with pytest.raises(ConfigError, match="pass num_classes or labels"):
        create_model("fast-scnn")


def test_options_that_do_not_go_together_are_refused():
    with pytest.raises(ConfigError, match=r"options of encnet: .*lateral needs output_stride 8"):
        create_model("encnet", 19, lateral=True, output_stride=32)


def test_the_first_variant_is_built_if_none_is_named():
    assert create_model("fastfcn", 19, width=0.25).spec.options["stem_width"] == 64
    assert create_model("encnet", 19, width=0.25).spec.options["stem_width"] == 32

"""Details of FastFCN and its baselines, and of their parts."""

import pytest
import torch
from torch import nn

from rapidseg.core.errors import ConfigError
from rapidseg.models import count_macs, count_parameters, create_model
from rapidseg.models.heads import AsppHead
from rapidseg.models.heads.enc import Encoding
from rapidseg.models.jpu import Jpu, JpuX
from rapidseg.models.resnet import ResNet


# With auxiliary head and SE branch, the numbers are those in the reference outputs, without the ImageNet classifier of
# 2,049,000 values that the authors' checkpoints carry along. They are listed in docs/compatibility.md.
@pytest.mark.parametrize(
    ("name", "options", "parameters", "with_heads", "macs_g"),
    [
        ("fastfcn", {"head": "fcn"}, 52_815_315, 55_180_006, 777.2),
        ("fastfcn", {"head": "psp"}, 66_450_899, 68_815_590, 1086.5),
        ("fastfcn", {"head": "aspp"}, 59_497_683, 61_862_374, 978.9),
        ("fastfcn", {}, 44_969_011, 47_343_449, 510.9),
        ("fastfcn", {"neck": "jpu_x"}, 44_952_627, 47_327_065, 568.4),
        ("fastfcn", {"variant": "openmmlab", "head": "psp"}, 66_346_355, 68_711_046, 1039.9),
        ("fastfcn", {"variant": "openmmlab", "head": "aspp"}, 85_483_891, 87_848_582, 1770.0),
        ("fastfcn", {"variant": "openmmlab"}, 53_253_075, 55_627_513, 739.2),
        ("deeplabv3", {}, 65_748_339, 68_113_030, 2156.3),
        ("deeplabv3", {"backbone": "resnet101"}, 84_740_467, 87_105_158, 2776.9),
        ("pspnet", {}, 46_610_803, 48_975_494, 1426.2),
        ("encnet", {}, 33_517_523, 35_891_961, 1125.5),
        ("encnet", {"output_stride": 32}, 33_517_523, 35_891_961, 200.7),
    ],
)
def test_networks_have_the_published_number_of_parameters(name, options, parameters, with_heads, macs_g):
    with torch.device("meta"):
        model = create_model(name, 19, **options)
    assert count_parameters(model) == parameters
    assert count_parameters(model, aux_heads=True) == with_heads
    assert count_macs(model, (1024, 2048)) / 1e9 == pytest.approx(macs_g, abs=0.05)


@pytest.mark.parametrize(
    ("options", "strides", "dilations"),
    [
        ({"output_stride": 32}, (4, 8, 16, 32), [[1], [1], [1], [1]]),
        ({"output_stride": 16}, (4, 8, 16, 16), [[1], [1], [1], [1, 2]]),
        ({"output_stride": 8}, (4, 8, 8, 8), [[1], [1], [1, 2], [2, 4]]),
        ({"output_stride": 32, "dilations": (1, 1, 2, 4)}, (4, 8, 16, 32), [[1], [1], [1, 2], [2, 4]]),
        ({"output_stride": 8, "multi_grid": (4, 8, 16)}, (4, 8, 8, 8), [[1], [1], [1, 2], [4, 8, 16]]),
    ],
)
def test_the_first_block_of_a_dilated_layer_has_half_its_dilation(options, strides, dilations):
    with torch.device("meta"):
        backbone = ResNet("resnet50", width=0.125, **options)
        features = backbone(torch.empty(1, 3, 97, 161))
    assert backbone.strides == strides
    assert backbone.channels == tuple(feature.shape[1] for feature in features)
    for stride, feature in zip(strides, features, strict=True):
        assert feature.shape[2:] == (-(-97 // stride), -(-161 // stride))
    for layer, expected in zip(("layer1", "layer2", "layer3", "layer4"), dilations, strict=True):
        found = [block.conv2.dilation[0] for block in getattr(backbone, layer)]
        assert found[: len(expected)] == expected
        assert set(found[len(expected) :]) <= {expected[-1]}


@pytest.mark.parametrize("neck", [Jpu, JpuX])
def test_a_neck_publishes_what_it_returns(neck):
    channels, sizes = (16, 32, 64, 128), ((25, 41), (13, 21), (7, 11), (4, 6))
    part = neck(channels, (4, 8, 16, 32), 64)
    features = part([torch.randn(2, count, *size) for count, size in zip(channels, sizes, strict=True)])
    assert part.channels == tuple(feature.shape[1] for feature in features) == (32, 64, 256)
    assert part.strides == (8, 16, 8)
    assert [tuple(feature.shape[2:]) for feature in features] == [(13, 21), (7, 11), (13, 21)]


def test_encoding_is_the_sum_of_weighted_residuals():
    torch.manual_seed(0)
    encoding = Encoding(8, num_codes=5)
    nn.init.normal_(encoding.codewords)
    x = torch.randn(2, 8, 3, 7)
    pixels = x.flatten(2).transpose(1, 2)[:, :, None]  # (N, pixels, 1, C)
    residuals = pixels - encoding.codewords
    weights = (encoding.scale * residuals.square().sum(3)).softmax(2)
    expected = (weights[..., None] * residuals).sum(1)
    torch.testing.assert_close(encoding(x), expected, rtol=1e-4, atol=1e-5)  # another order of the same sums
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(encoding(x), expected, rtol=1e-4, atol=1e-5)


def test_the_average_of_aspp_is_the_same_everywhere():
    head = AsppHead([16], 8, 3).eval()
    x = torch.randn(1, 16, 5, 9)
    average = nn.functional.adaptive_avg_pool2d(x, 1)
    for align_corners in (True, False):
        expected = nn.functional.interpolate(average, (5, 9), mode="bilinear", align_corners=align_corners)
        assert torch.allclose(x.mean((2, 3), keepdim=True).expand(-1, -1, 5, 9), expected, atol=1e-6)
    assert head([x]).shape == (1, 3, 5, 9)


def test_only_the_enc_head_says_which_classes_are_there():
    images = torch.randn(1, 3, 64, 64)
    for name, options, expected in (
        ("encnet", {}, ["logits", "se_logits", "aux_0_logits"]),
        ("encnet", {"se_branch": False}, ["logits", "aux_0_logits"]),
        ("fastfcn", {"head": "psp", "aux_head": False}, ["logits"]),
    ):
        model = create_model(name, 5, width=0.125, **options).eval()
        with torch.inference_mode():
            outputs = model.forward_all(images)
        assert list(outputs) == expected
        if "se_logits" in outputs:
            assert outputs["se_logits"].shape == (1, 5)


def test_other_options_are_refused_by_name():
    with pytest.raises(ConfigError, match=r"options of pspnet: output_stride should be 8, 16 or 32, not 4"):
        create_model("pspnet", 19, output_stride=4)
    with pytest.raises(ConfigError, match="unknown option 'output_stride' of fastfcn"):
        create_model("fastfcn", 19, output_stride=8)
    with pytest.raises(ConfigError, match=r"options of fastfcn: head should be 'fcn', 'psp', 'aspp' or 'enc'"):
        create_model("fastfcn", 19, head="deeplab")

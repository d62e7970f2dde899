"""ResNets: names and parameters of torchvision's, the stem for CIFAR's images, and dilation as OpenMMLab has it."""

import pytest
import torch

from rapidseg.core.errors import ConfigError
from rapidseg.models import create_model
from rapidseg.models.resnet import ResNet

# torchvision's models without the classifier: 11,689,512, 21,797,672, 25,557,032 and 44,549,160 parameters in all.
PARAMETERS = {"resnet18": 11_176_512, "resnet34": 21_284_672, "resnet50": 23_508_032, "resnet101": 42_500_160}


@pytest.mark.parametrize("depth", PARAMETERS)
def test_a_plain_resnet_has_the_published_number_of_parameters(depth):
    with torch.device("meta"):
        backbone = ResNet(depth, stem="plain")
    assert sum(parameter.numel() for parameter in backbone.parameters()) == PARAMETERS[depth]


def test_basic_blocks_have_the_names_of_torchvision():
    with torch.device("meta"):
        state = ResNet("resnet18", stem="plain").state_dict()
    assert state["layer1.0.conv1.weight"].shape == (64, 64, 3, 3)
    assert state["layer2.0.conv1.weight"].shape == (128, 64, 3, 3)
    assert state["layer2.0.conv2.weight"].shape == (128, 128, 3, 3)
    assert state["layer2.0.downsample.0.weight"].shape == (128, 64, 1, 1)
    assert state["layer4.1.bn2.running_var"].shape == (512,)
    assert not [name for name in state if name.startswith(("layer1.0.downsample", "layer2.1.downsample"))]
    assert not [name for name in state if ".conv3." in name]


@pytest.mark.parametrize("depth", ["resnet18", "resnet34", "resnet50"])
@pytest.mark.parametrize(
    ("stem", "output_stride", "strides"),
    [
        ("plain", 32, (4, 8, 16, 32)),
        ("deep", 8, (4, 8, 8, 8)),
        ("cifar", 32, (1, 2, 4, 8)),
        ("cifar", 16, (1, 2, 4, 4)),
    ],
)
def test_published_channels_and_strides_are_those_of_the_features(depth, stem, output_stride, strides):
    with torch.device("meta"):
        backbone = ResNet(depth, stem=stem, output_stride=output_stride, width=0.25)
        features = backbone(torch.empty(2, 3, 33, 64))
    assert backbone.strides == strides
    assert backbone.channels == tuple(feature.shape[1] for feature in features)
    for stride, feature in zip(strides, features, strict=True):
        assert feature.shape[2:] == (-(-33 // stride), 64 // stride)


def test_the_cifar_stem_is_one_convolution_that_keeps_the_size():
    backbone = ResNet("resnet18", stem="cifar")
    (layer,) = backbone.stem
    assert (layer.conv.kernel_size, layer.conv.stride, layer.conv.padding) == ((3, 3), (1, 1), (1, 1))
    assert not [module for module in backbone.modules() if isinstance(module, torch.nn.MaxPool2d)]
    # The ResNet-18 for CIFAR of the published code has 11,173,962 parameters with a classifier of 10 classes.
    assert sum(parameter.numel() for parameter in backbone.parameters()) + 512 * 10 + 10 == 11_173_962


def test_only_the_first_convolution_of_a_basic_block_dilates():
    with torch.device("meta"):
        backbone = ResNet("resnet34", output_stride=8, width=0.25)
    for layer, dilations in (("layer2", [1, 1]), ("layer3", [1, 2]), ("layer4", [2, 4])):
        blocks = list(getattr(backbone, layer))
        for block, dilation in zip(blocks, [dilations[0], *[dilations[1]] * (len(blocks) - 1)], strict=True):
            assert (block.conv1.dilation, block.conv1.padding) == ((dilation, dilation), (dilation, dilation))
            assert (block.conv2.dilation, block.conv2.padding, block.conv2.stride) == ((1, 1), (1, 1), (1, 1))


def test_heads_neck_and_auxiliary_head_follow_the_backbone():
    with torch.device("meta"):
        model = create_model("fastfcn", 19, backbone="resnet18")
    assert [conv.conv.in_channels for conv in model.neck.convs] == [128, 256, 512]
    assert model.aux_heads[0].conv.conv.in_channels == 256
    assert (
        create_model("pspnet", 19, backbone="resnet34", width=0.25).head.pyramid_pooling.stages[0].conv.in_channels
        == 128
    )


def test_stems_and_multi_grids_that_do_not_go_together_are_refused():
    with pytest.raises(ConfigError, match=r"options of pspnet: stem should be 'plain' or 'deep', not 'cifar'"):
        create_model("pspnet", 19, backbone="resnet18", stem="cifar")
    with pytest.raises(ConfigError, match=r"multi_grid has 3 dilations, but layer4 of resnet18 has 2 blocks; pass one"):
        create_model("deeplabv3", 19, backbone="resnet18", multi_grid=(1, 2, 4))

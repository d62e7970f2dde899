"""Tensor names of wuhuikai/FastFCN, the code of FastFCN's authors: its FastFCNs, and its baselines without JPU.

Its backbone is Hang Zhang's ResNet, always with the deep stem, whose last normalization is called `bn1`. The ImageNet
classifier is saved with it but not used for segmentation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rapidseg.checkpoints import StoredTensor
from rapidseg.importing.layouts.checkpoint_layout import NORM, Layout, Rules, conv_norm, plain, resnet_options, same

# A name that identifies each head and neck.
HEADS = {
    "enc": "head.encmodule.encoding.3.codewords",
    "psp": "head.conv5.0.conv1.0.weight",
    "aspp": "head.aspp.b0.0.weight",
    "fcn": "head.conv5.4.weight",
}
BASELINES = {"encnet": "enc", "pspnet": "psp", "deeplabv3": "aspp"}
NECKS = {"jpu": "jpu.conv5.0.weight", "jpu_x": "jpu.jum_1.conv_l.0.weight"}
AUX_HEAD = "auxlayer.conv5.4.weight"
SE_BRANCH = "head.encmodule.selayer.weight"
LATERAL = "head.connect.0.0.weight"


def _backbone_rules() -> Rules:
    rules = []
    for i in range(3):
        rules += [(rf"pretrained\.conv1\.{3 * i}\.weight", f"backbone.stem.{i}.conv.weight")]
        rules += [(rf"pretrained\.conv1\.{3 * i + 1}\.{NORM}", rf"backbone.stem.{i}.norm.\1")]
    rules += [(rf"pretrained\.bn1\.{NORM}", r"backbone.stem.2.norm.\1")]
    rules += [(r"pretrained\.(layer[1-4]\..+)", r"backbone.\1")]
    return rules


def _neck_rules(neck: str | None) -> Rules:
    rules: Rules = []
    if neck == "jpu":
        for i in range(3):
            rules += conv_norm(f"jpu.conv{i + 3}", f"neck.convs.{i}", "0", "1")
        for i in range(4):
            rules += _separable(f"jpu.dilation{i + 1}", f"neck.branches.{i}")
    if neck == "jpu_x":
        for theirs, ours in (("jpu.jum_1", "neck.first"), ("jpu.jum_2", "neck.second")):
            rules += conv_norm(theirs + ".conv_l", ours + ".coarse", "0", "1")
            rules += conv_norm(theirs + ".conv_h", ours + ".fine", "0", "1")
            for i in range(3):
                rules += _separable(f"{theirs}.dilation{i + 1}", f"{ours}.branches.{i}")
    return rules


def _separable(theirs: str, ours: str) -> Rules:
    rules = conv_norm(theirs + ".0", ours + ".depthwise", "conv1", "bn")
    return rules + conv_norm(theirs, ours + ".pointwise", "0.pointwise", "1")


def _fcn_rules(theirs: str, ours: str) -> Rules:
    return conv_norm(theirs + ".conv5", ours + ".conv", "0", "1") + plain(theirs + ".conv5.4", ours + ".classifier")


def _psp_rules() -> Rules:
    rules = conv_norm("head.conv5", "head.pyramid_pooling.out", "1", "2")
    for i in range(4):
        rules += conv_norm(f"head.conv5.0.conv{i + 1}", f"head.pyramid_pooling.stages.{i}", "0", "1")
    return rules + plain("head.conv5.5", "head.classifier")


def _aspp_rules() -> Rules:
    rules = conv_norm("head.aspp.b4.gap", "head.pooled", "1", "2")
    for i in range(4):
        rules += conv_norm(f"head.aspp.b{i}", f"head.branches.{i}", "0", "1")
    rules += conv_norm("head.aspp.project", "head.project.0", "0", "1")
    rules += conv_norm("head.block", "head.project.2", "0", "1")
    return rules + plain("head.block.4", "head.classifier")


def _enc_rules() -> Rules:
    rules = conv_norm("head.conv5", "head.reduce", "0", "1")
    for i in range(2):
        rules += conv_norm(f"head.connect.{i}", f"head.laterals.{i}", "0", "1")
    rules += conv_norm("head.fusion", "head.fusion", "0", "1")
    rules += conv_norm("head.encmodule.encoding", "head.encoded", "0", "1")
    rules += same("head.encmodule.encoding.3", "head.encoding")
    rules += same("head.encmodule.encoding.4", "head.encoding_norm")
    rules += plain("head.encmodule.fc.0", "head.gate")
    rules += plain("head.encmodule.selayer", "head.se_branch")
    return rules + plain("head.conv6.1", "head.classifier")


_HEAD_RULES = {"enc": _enc_rules(), "psp": _psp_rules(), "aspp": _aspp_rules(), "fcn": _fcn_rules("head", "head")}


def _encoder_decoder(architecture: str, head: str, neck: str | None = None) -> Layout:
    def tell(state: Mapping[str, StoredTensor]) -> dict[str, Any]:
        options = resnet_options(state, "pretrained", "conv1.0.weight")
        options["aux_head"] = AUX_HEAD in state
        if neck is not None:
            options |= {"neck": neck, "head": head}
        if head == "enc":
            options["se_branch"] = SE_BRANCH in state
        if architecture == "encnet":
            options["lateral"] = LATERAL in state
        return options

    rules = (*_backbone_rules(), *_neck_rules(neck), *_HEAD_RULES[head], *_fcn_rules("auxlayer", "aux_heads.0"))
    return Layout(
        source="wuhuikai/FastFCN",
        markers=("pretrained.layer4.0.conv3.weight", *(() if neck is None else (NECKS[neck],)), HEADS[head]),
        architecture=architecture,
        variant="wuhuikai",
        rules=rules,
        classifier="head.classifier.weight",
        unused=(r"pretrained\.fc\.(weight|bias)",),
        tell_options=tell,
    )


LAYOUTS = (
    *(_encoder_decoder("fastfcn", head, neck) for neck in NECKS for head in HEADS),
    *(_encoder_decoder(architecture, head) for architecture, head in BASELINES.items()),
)

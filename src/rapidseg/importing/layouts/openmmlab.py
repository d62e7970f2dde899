"""Tensor names of OpenMMLab's mmsegmentation; versions 0.x and 1.x agree."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from rapidseg.checkpoints import StoredTensor
from rapidseg.importing.layouts.checkpoint_layout import (
    Layout,
    Rules,
    bottlenecks,
    conv_norm,
    plain,
    resnet_options,
    same,
)

SOURCE = "open-mmlab/mmsegmentation"

# A name that identifies each head. DeepLabV3+, for example, has separable convolutions in its ASPP.
HEADS = {
    "enc": "decode_head.enc_module.encoding.0.codewords",
    "psp": "decode_head.psp_modules.0.1.conv.weight",
    "aspp": "decode_head.aspp_modules.1.conv.weight",
    "fcn": "decode_head.convs.0.conv.weight",
}
BASELINES = {"encnet": "enc", "pspnet": "psp", "deeplabv3": "aspp"}
JPU = "neck.conv_layers.0.0.conv.weight"
AUX_HEAD = "auxiliary_head.conv_seg.weight"
SE_BRANCH = "decode_head.se_layer.weight"
LATERAL = "decode_head.lateral_convs.0.conv.weight"


def _fast_scnn() -> Layout:
    stem, ours = "backbone.learning_to_downsample.", "learning_to_downsample."
    extractor, fusion = "backbone.global_feature_extractor.", "backbone.feature_fusion."
    rules = conv_norm(stem + "conv", ours + "0")
    for i in (1, 2):
        for part in ("depthwise", "pointwise"):
            rules += conv_norm(f"{stem}dsconv{i}.{part}_conv", f"{ours}{i}.{part}")
            rules += conv_norm(f"decode_head.convs.{i - 1}.{part}_conv", f"classifier.{i - 1}.{part}")
    parts = {
        part: (rf"conv\.{i}\.conv", rf"conv\.{i}\.bn") for i, part in enumerate(("expand", "depthwise", "project"))
    }
    rules += bottlenecks(re.escape(extractor) + "bottleneck{group}", parts)
    for i in range(4):
        rules += conv_norm(f"{extractor}ppm.{i}.1", f"pyramid_pooling.stages.{i}")
    rules += conv_norm(extractor + "out", "pyramid_pooling.out")
    rules += conv_norm(fusion + "dwconv", "fusion.depthwise")
    rules += conv_norm(fusion + "conv_lower_res", "fusion.deep")
    rules += conv_norm(fusion + "conv_higher_res", "fusion.stem")
    rules += plain("decode_head.conv_seg", "classifier.3")
    for i in (0, 1):
        rules += conv_norm(f"auxiliary_head.{i}.convs.0", f"aux_heads.{i}.conv")
        rules += plain(f"auxiliary_head.{i}.conv_seg", f"aux_heads.{i}.classifier")
    return Layout(
        source=SOURCE,
        markers=("backbone.learning_to_downsample.conv.conv.weight", "decode_head.conv_seg.weight"),
        architecture="fast-scnn",
        variant="openmmlab",
        rules=tuple(rules),
        classifier="classifier.3.weight",
        tell_options=_fast_scnn_options,
    )


def _fast_scnn_options(state: Mapping[str, StoredTensor]) -> dict[str, Any]:
    heads = enumerate(("deep", "stem"))
    return {"aux_heads": tuple(feature for i, feature in heads if f"auxiliary_head.{i}.conv_seg.weight" in state)}


def _common_rules() -> Rules:
    """Returns rules for the backbone, the auxiliary head and the classifier of every main head."""
    rules = []
    for i in range(3):
        rules += [
            (rf"backbone\.stem\.{3 * i}\.weight", f"backbone.stem.{i}.conv.weight"),
            (rf"backbone\.stem\.{3 * i + 1}\.(\w+)", rf"backbone.stem.{i}.norm.\1"),
        ]
    rules += conv_norm("backbone", "backbone.stem.0", "conv1", "bn1")
    rules += [(r"backbone\.(layer[1-4]\..+)", r"backbone.\1")]
    rules += plain("decode_head.conv_seg", "head.classifier")
    rules += conv_norm("auxiliary_head.convs.0", "aux_heads.0.conv")
    rules += plain("auxiliary_head.conv_seg", "aux_heads.0.classifier")
    return rules


def _jpu_rules() -> Rules:
    rules = []
    for i in range(3):
        rules += conv_norm(f"neck.conv_layers.{i}.0", f"neck.convs.{i}")
    for i in range(4):
        for part in ("depthwise", "pointwise"):
            rules += conv_norm(f"neck.dilation_layers.{i}.0.{part}_conv", f"neck.branches.{i}.{part}")
    return rules


def _psp_rules() -> Rules:
    rules = conv_norm("decode_head.bottleneck", "head.pyramid_pooling.out")
    for i in range(4):
        rules += conv_norm(f"decode_head.psp_modules.{i}.1", f"head.pyramid_pooling.stages.{i}")
    return rules


def _aspp_rules() -> Rules:
    rules = conv_norm("decode_head.bottleneck", "head.project.0")
    rules += conv_norm("decode_head.image_pool.1", "head.pooled")
    for i in range(4):
        rules += conv_norm(f"decode_head.aspp_modules.{i}", f"head.branches.{i}")
    return rules


def _enc_rules() -> Rules:
    rules = conv_norm("decode_head.bottleneck", "head.reduce")
    for i in range(2):
        rules += conv_norm(f"decode_head.lateral_convs.{i}", f"head.laterals.{i}")
    rules += conv_norm("decode_head.fusion", "head.fusion")
    rules += conv_norm("decode_head.enc_module.encoding_project", "head.encoded")
    rules += same("decode_head.enc_module.encoding.0", "head.encoding")
    rules += same("decode_head.enc_module.encoding.1", "head.encoding_norm")
    rules += plain("decode_head.enc_module.fc.0", "head.gate")
    rules += plain("decode_head.se_layer", "head.se_branch")
    return rules


_HEAD_RULES = {
    "enc": _enc_rules(),
    "psp": _psp_rules(),
    "aspp": _aspp_rules(),
    "fcn": conv_norm("decode_head.convs.0", "head.conv"),
}


def _encoder_decoder(architecture: str, head: str) -> Layout:
    has_jpu = architecture == "fastfcn"

    def tell(state: Mapping[str, StoredTensor]) -> dict[str, Any]:
        options = resnet_options(state, "backbone", "stem.0.weight")
        options["aux_head"] = AUX_HEAD in state
        if has_jpu:
            options["head"] = head
        if head == "enc":
            options["se_branch"] = SE_BRANCH in state
        if architecture == "encnet":
            options["lateral"] = LATERAL in state
        return options

    return Layout(
        source=SOURCE,
        markers=("backbone.layer4.0.conv3.weight", *((JPU,) if has_jpu else ()), HEADS[head]),
        architecture=architecture,
        variant="openmmlab",
        rules=(*_common_rules(), *(_jpu_rules() if has_jpu else ()), *_HEAD_RULES[head]),
        classifier="head.classifier.weight",
        tell_options=tell,
    )


LAYOUTS = (
    _fast_scnn(),
    *(_encoder_decoder("fastfcn", head) for head in HEADS),
    *(_encoder_decoder(architecture, head) for architecture, head in BASELINES.items()),
)

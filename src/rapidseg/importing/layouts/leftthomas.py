"""Tensor names of leftthomas/FastSCNN."""

from __future__ import annotations

import re

from rapidseg.importing.layouts.checkpoint_layout import Layout, bottlenecks, conv_norm, plain


def _fast_scnn() -> Layout:
    stem, ours = "learning_to_down_sample.", "learning_to_downsample."
    extractor, fusion = "global_feature_extractor.", "feature_fusion."
    rules = conv_norm(stem + "conv", ours + "0")
    for i in (1, 2):
        for theirs, here in ((f"{stem}dsconv{i}", f"{ours}{i}"), (f"classifier.dsconv{i}", f"classifier.{i - 1}")):
            rules += conv_norm(theirs, here + ".depthwise", "0", "1")
            rules += conv_norm(theirs, here + ".pointwise", "2", "3")
    parts = {
        "expand": (r"conv\.0", r"conv\.1"),
        "depthwise": (r"conv\.3", r"conv\.4"),
        "project": (r"conv\.6", r"conv\.7"),
    }
    rules += bottlenecks(re.escape(extractor) + "{ordinal}_block", parts)
    for i in range(4):
        rules += conv_norm(f"{extractor}ppm.stages.{i}.1", f"pyramid_pooling.stages.{i}")
    rules += conv_norm(extractor + "ppm.conv", "pyramid_pooling.out")
    rules += conv_norm(fusion + "dwconv", "fusion.depthwise")
    rules += plain(fusion + "conv_low_res", "fusion.deep.conv")
    rules += plain(fusion + "conv_high_res", "fusion.stem.conv")
    rules += plain("classifier.conv", "classifier.3")
    return Layout(
        source="leftthomas/FastSCNN",
        markers=("learning_to_down_sample.conv.conv.weight", "classifier.conv.weight"),
        architecture="fast-scnn",
        variant="leftthomas",
        rules=tuple(rules),
        classifier="classifier.3.weight",
    )


LAYOUTS = (_fast_scnn(),)

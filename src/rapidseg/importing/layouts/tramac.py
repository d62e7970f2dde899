"""Tensor names of Tramac/Fast-SCNN-pytorch."""

from __future__ import annotations

import re

from rapidseg.importing.layouts.checkpoint_layout import Layout, bottlenecks, conv_norm, plain


def _fast_scnn() -> Layout:
    stem, ours = "learning_to_downsample.", "learning_to_downsample."
    extractor, fusion = "global_feature_extractor.", "feature_fusion."
    rules = conv_norm(stem + "conv", ours + "0", "conv.0", "conv.1")
    for i in (1, 2):
        for theirs, here in ((f"{stem}dsconv{i}", f"{ours}{i}"), (f"classifier.dsconv{i}", f"classifier.{i - 1}")):
            rules += conv_norm(theirs, here + ".depthwise", "conv.0", "conv.1")
            rules += conv_norm(theirs, here + ".pointwise", "conv.3", "conv.4")
    parts = {
        "expand": (r"block\.0\.conv\.0", r"block\.0\.conv\.1"),
        "depthwise": (r"block\.1\.conv\.0", r"block\.1\.conv\.1"),
        "project": (r"block\.2", r"block\.3"),
    }
    rules += bottlenecks(re.escape(extractor) + "bottleneck{group}", parts)
    for i in range(4):
        rules += conv_norm(f"{extractor}ppm.conv{i + 1}", f"pyramid_pooling.stages.{i}", "conv.0", "conv.1")
    rules += conv_norm(extractor + "ppm.out", "pyramid_pooling.out", "conv.0", "conv.1")
    rules += conv_norm(fusion + "dwconv", "fusion.depthwise", "conv.0", "conv.1")
    rules += conv_norm(fusion + "conv_lower_res", "fusion.deep", "0", "1")
    rules += conv_norm(fusion + "conv_higher_res", "fusion.stem", "0", "1")
    rules += plain("classifier.conv.1", "classifier.3")
    rules += conv_norm("auxlayer", "aux_heads.0.conv", "0", "1")
    rules += plain("auxlayer.4", "aux_heads.0.classifier")
    return Layout(
        source="Tramac/Fast-SCNN-pytorch",
        markers=("learning_to_downsample.conv.conv.0.weight", "classifier.conv.1.weight"),
        architecture="fast-scnn",
        variant="tramac",
        rules=tuple(rules),
        classifier="classifier.3.weight",
        tell_options=lambda state: {"aux_heads": ("stem",) if "auxlayer.4.weight" in state else ()},
    )


LAYOUTS = (_fast_scnn(),)

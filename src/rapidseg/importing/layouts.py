"""The tensor names of published implementations, and the names that the same tensors have here.

A layout is told by names that only it has. Its rules rename the beginning of each tensor name; they are tried in
order and the first that fits is taken.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

_BOTTLENECK = {"expand": 0, "depthwise": 1, "project": 2}
_NORM = r"(weight|bias|running_mean|running_var|num_batches_tracked)"


@dataclass(frozen=True)
class Layout:
    """How one source names the tensors of one architecture.

    Attributes:
        source: the project whose code wrote the checkpoint.
        markers: names that must all be there for a checkpoint to be of this layout.
        architecture, variant: of the model to build.
        aux_markers: option value for `aux_heads`, told by a name that is there only with those heads.
        rules: (pattern of a whole name, replacement) pairs.
        classifier: the name, here, of the tensor whose first dimension is the number of classes.
    """

    source: str
    markers: tuple[str, ...]
    architecture: str
    variant: str
    aux_markers: tuple[tuple[str, tuple[str, ...]], ...]
    rules: tuple[tuple[str, str], ...]
    classifier: str

    def rename(self, name: str) -> str | None:
        """Returns the name here of a tensor of the source, or None if no rule knows it."""
        for pattern, replacement in self.rules:
            if re.fullmatch(pattern, name):
                return re.sub(pattern, replacement, name)
        return None

    def options(self, names: set[str]) -> dict[str, Any]:
        heads: list[str] = []
        for marker, features in self.aux_markers:
            if marker in names:
                heads.extend(features)
        return {"aux_heads": tuple(heads)}


def _block_rules(prefix: str, parts: dict[str, tuple[str, str]]) -> list[tuple[str, str]]:
    """Rules for three groups of three bottlenecks, which stand in one row here.

    Args:
        prefix: pattern with the place of the group's name, such as `bottleneck{group}`.
        parts: our part of a block -> (the source's convolution, the source's normalisation).
    """
    rules = []
    for group in (1, 2, 3):
        for block in range(3):
            start = prefix.format(group=group, ordinal=("first", "second", "third")[group - 1]) + rf"\.{block}\."
            ours = f"global_features.{(group - 1) * 3 + block}."
            for part, (conv, norm) in parts.items():
                rules.append((start + conv + r"\.weight", ours + part + ".conv.weight"))
                rules.append((start + norm + rf"\.{_NORM}", ours + part + r".norm.\1"))
    return rules


def _conv_norm(theirs: str, ours: str, conv: str = "conv", norm: str = "bn") -> list[tuple[str, str]]:
    """Rules for one convolution with its normalisation."""
    theirs = re.escape(theirs)
    return [
        (theirs + re.escape("." + conv) + r"\.(weight|bias)", ours + r".conv.\1"),
        (theirs + re.escape("." + norm) + rf"\.{_NORM}", ours + r".norm.\1"),
    ]


def _plain(theirs: str, ours: str) -> list[tuple[str, str]]:
    """Rules for one layer without normalisation."""
    return [(re.escape(theirs) + r"\.(weight|bias)", ours + r".\1")]


def _openmmlab_fast_scnn() -> Layout:
    stem, ours = "backbone.learning_to_downsample.", "learning_to_downsample."
    extractor, fusion = "backbone.global_feature_extractor.", "backbone.feature_fusion."
    rules = _conv_norm(stem + "conv", ours + "0")
    for i in (1, 2):
        for part in ("depthwise", "pointwise"):
            rules += _conv_norm(f"{stem}dsconv{i}.{part}_conv", f"{ours}{i}.{part}")
            rules += _conv_norm(f"decode_head.convs.{i - 1}.{part}_conv", f"classifier.{i - 1}.{part}")
    parts = {part: (rf"conv\.{i}\.conv", rf"conv\.{i}\.bn") for part, i in _BOTTLENECK.items()}
    rules += _block_rules(re.escape(extractor) + "bottleneck{group}", parts)
    for i in range(4):
        rules += _conv_norm(f"{extractor}ppm.{i}.1", f"pyramid_pooling.stages.{i}")
    rules += _conv_norm(extractor + "out", "pyramid_pooling.out")
    rules += _conv_norm(fusion + "dwconv", "fusion.depthwise")
    rules += _conv_norm(fusion + "conv_lower_res", "fusion.deep")
    rules += _conv_norm(fusion + "conv_higher_res", "fusion.stem")
    rules += _plain("decode_head.conv_seg", "classifier.3")
    for i in (0, 1):
        rules += _conv_norm(f"auxiliary_head.{i}.convs.0", f"aux_heads.{i}.conv")
        rules += _plain(f"auxiliary_head.{i}.conv_seg", f"aux_heads.{i}.classifier")
    return Layout(
        source="open-mmlab/mmsegmentation",
        markers=("backbone.learning_to_downsample.conv.conv.weight", "decode_head.conv_seg.weight"),
        architecture="fast-scnn",
        variant="openmmlab",
        aux_markers=(
            ("auxiliary_head.0.conv_seg.weight", ("deep",)),
            ("auxiliary_head.1.conv_seg.weight", ("stem",)),
        ),
        rules=tuple(rules),
        classifier="classifier.3.weight",
    )


def _tramac_fast_scnn() -> Layout:
    stem, ours = "learning_to_downsample.", "learning_to_downsample."
    extractor, fusion = "global_feature_extractor.", "feature_fusion."
    rules = _conv_norm(stem + "conv", ours + "0", "conv.0", "conv.1")
    for i in (1, 2):
        for theirs, here in ((f"{stem}dsconv{i}", f"{ours}{i}"), (f"classifier.dsconv{i}", f"classifier.{i - 1}")):
            rules += _conv_norm(theirs, here + ".depthwise", "conv.0", "conv.1")
            rules += _conv_norm(theirs, here + ".pointwise", "conv.3", "conv.4")
    parts = {
        "expand": (r"block\.0\.conv\.0", r"block\.0\.conv\.1"),
        "depthwise": (r"block\.1\.conv\.0", r"block\.1\.conv\.1"),
        "project": (r"block\.2", r"block\.3"),
    }
    rules += _block_rules(re.escape(extractor) + "bottleneck{group}", parts)
    for i in range(4):
        rules += _conv_norm(f"{extractor}ppm.conv{i + 1}", f"pyramid_pooling.stages.{i}", "conv.0", "conv.1")
    rules += _conv_norm(extractor + "ppm.out", "pyramid_pooling.out", "conv.0", "conv.1")
    rules += _conv_norm(fusion + "dwconv", "fusion.depthwise", "conv.0", "conv.1")
    rules += _conv_norm(fusion + "conv_lower_res", "fusion.deep", "0", "1")
    rules += _conv_norm(fusion + "conv_higher_res", "fusion.stem", "0", "1")
    rules += _plain("classifier.conv.1", "classifier.3")
    rules += _conv_norm("auxlayer", "aux_heads.0.conv", "0", "1")
    rules += _plain("auxlayer.4", "aux_heads.0.classifier")
    return Layout(
        source="Tramac/Fast-SCNN-pytorch",
        markers=("learning_to_downsample.conv.conv.0.weight", "classifier.conv.1.weight"),
        architecture="fast-scnn",
        variant="tramac",
        aux_markers=(("auxlayer.4.weight", ("stem",)),),
        rules=tuple(rules),
        classifier="classifier.3.weight",
    )


def _leftthomas_fast_scnn() -> Layout:
    stem, ours = "learning_to_down_sample.", "learning_to_downsample."
    extractor, fusion = "global_feature_extractor.", "feature_fusion."
    rules = _conv_norm(stem + "conv", ours + "0")
    for i in (1, 2):
        for theirs, here in ((f"{stem}dsconv{i}", f"{ours}{i}"), (f"classifier.dsconv{i}", f"classifier.{i - 1}")):
            rules += _conv_norm(theirs, here + ".depthwise", "0", "1")
            rules += _conv_norm(theirs, here + ".pointwise", "2", "3")
    parts = {
        "expand": (r"conv\.0", r"conv\.1"),
        "depthwise": (r"conv\.3", r"conv\.4"),
        "project": (r"conv\.6", r"conv\.7"),
    }
    rules += _block_rules(re.escape(extractor) + "{ordinal}_block", parts)
    for i in range(4):
        rules += _conv_norm(f"{extractor}ppm.stages.{i}.1", f"pyramid_pooling.stages.{i}")
    rules += _conv_norm(extractor + "ppm.conv", "pyramid_pooling.out")
    rules += _conv_norm(fusion + "dwconv", "fusion.depthwise")
    rules += _plain(fusion + "conv_low_res", "fusion.deep.conv")
    rules += _plain(fusion + "conv_high_res", "fusion.stem.conv")
    rules += _plain("classifier.conv", "classifier.3")
    return Layout(
        source="leftthomas/FastSCNN",
        markers=("learning_to_down_sample.conv.conv.weight", "classifier.conv.weight"),
        architecture="fast-scnn",
        variant="leftthomas",
        aux_markers=(),
        rules=tuple(rules),
        classifier="classifier.3.weight",
    )


LAYOUTS = (_openmmlab_fast_scnn(), _tramac_fast_scnn(), _leftthomas_fast_scnn())

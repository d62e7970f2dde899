"""`Layout`: how a source names the tensors of an architecture, and the rules that translate its names."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rapidseg.checkpoints import StoredTensor

Rules = list[tuple[str, str]]
"""(pattern of a whole name of the source, replacement) pairs; the first pattern that matches is used."""

NORM = r"(weight|bias|running_mean|running_var|num_batches_tracked)"


def _no_options(state: Mapping[str, StoredTensor]) -> dict[str, Any]:
    return {}


@dataclass(frozen=True)
class Layout:
    """How a source names the tensors of an architecture.

    Attributes:
        source: the project whose code wrote the checkpoint.
        markers: names that a checkpoint of this layout has, all of them.
        architecture, variant: of the model to build.
        rules: see `Rules`.
        classifier: our name of the tensor whose first dimension is the number of classes.
        unused: patterns of names that the source writes but does not use to segment.
        tell_options: returns the options in which a model differs from the variant, as names and shapes tell them.
    """

    source: str
    markers: tuple[str, ...]
    architecture: str
    variant: str
    rules: tuple[tuple[str, str], ...]
    classifier: str
    unused: tuple[str, ...] = ()
    tell_options: Callable[[Mapping[str, StoredTensor]], dict[str, Any]] = field(default=_no_options)

    def rename(self, name: str) -> str | None:
        """Returns our name of a tensor of the source, or None if no rule matches it."""
        for pattern, replacement in self.rules:
            if re.fullmatch(pattern, name):
                return re.sub(pattern, replacement, name)
        return None

    def renamed(self, state: Mapping[str, StoredTensor]) -> dict[str, StoredTensor]:
        """Returns the tensors under our names, unknown tensors under their own, without the unused."""
        return {
            self.rename(name) or name: tensor
            for name, tensor in state.items()
            if not any(re.fullmatch(pattern, name) for pattern in self.unused)
        }

    def options(self, state: Mapping[str, StoredTensor]) -> dict[str, Any]:
        """Returns the options that differ from the variant's, as the names and shapes in `state` tell them."""
        return self.tell_options(state)


def conv_norm(theirs: str, ours: str, conv: str = "conv", norm: str = "bn") -> Rules:
    """Returns rules for a convolution with its normalization."""
    theirs = re.escape(theirs)
    return [
        (theirs + re.escape("." + conv) + r"\.(weight|bias)", ours + r".conv.\1"),
        (theirs + re.escape("." + norm) + rf"\.{NORM}", ours + r".norm.\1"),
    ]


def plain(theirs: str, ours: str) -> Rules:
    """Returns rules for a layer without normalization."""
    return [(re.escape(theirs) + r"\.(weight|bias)", ours + r".\1")]


def same(theirs: str, ours: str) -> Rules:
    """Returns a rule for a part within which all names are equal."""
    return [(re.escape(theirs) + r"\.(.+)", ours + r".\1")]


def bottlenecks(prefix: str, parts: Mapping[str, tuple[str, str]]) -> Rules:
    """Returns rules for Fast-SCNN's three groups of three bottlenecks, which are a single list here.

    Args:
        prefix: pattern with a field for the group, such as `bottleneck{group}`.
        parts: our part of a block -> (pattern of the source's convolution, of its normalization).
    """
    rules = []
    for group in (1, 2, 3):
        for block in range(3):
            start = prefix.format(group=group, ordinal=("first", "second", "third")[group - 1]) + rf"\.{block}\."
            ours = f"global_features.{(group - 1) * 3 + block}."
            for part, (conv, norm) in parts.items():
                rules.append((start + conv + r"\.weight", ours + part + ".conv.weight"))
                rules.append((start + norm + rf"\.{NORM}", ours + part + r".norm.\1"))
    return rules


def resnet_options(state: Mapping[str, StoredTensor], backbone: str, stem: str) -> dict[str, Any]:
    """Returns the options of the ResNet that the tensors belong to.

    Args:
        state: tensors by the source's names.
        backbone: prefix of its names.
        stem: name of the deep stem's first convolution, after the prefix.
    """
    options: dict[str, Any] = {
        "backbone": "resnet101" if f"{backbone}.layer3.6.conv1.weight" in state else "resnet50",
        "stem": "plain",
    }
    first = state.get(f"{backbone}.{stem}")
    if first is not None:
        options |= {"stem": "deep", "stem_width": 64 if first.shape[:1] == (64,) else 32}
    return options

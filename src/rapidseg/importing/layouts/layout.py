"""How one source names the tensors of one architecture, and the rules that this is written in."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

Rules = list[tuple[str, str]]
"""(pattern of a whole name of the source, replacement) pairs; the first pattern that fits is taken."""

NORM = r"(weight|bias|running_mean|running_var|num_batches_tracked)"


def _no_options(state: Mapping[str, Tensor]) -> dict[str, Any]:
    return {}


@dataclass(frozen=True)
class Layout:
    """How one source names the tensors of one architecture.

    Attributes:
        source: the project whose code wrote the checkpoint.
        markers: names that must all be there for a checkpoint to be of this layout.
        architecture, variant: of the model to build.
        rules: see `Rules`.
        classifier: the name, here, of the tensor whose first dimension is the number of classes.
        unused: patterns of names that the source writes but does not use to segment.
        tell_options: returns what names and shapes tell about the options in which a model differs from the variant.
    """

    source: str
    markers: tuple[str, ...]
    architecture: str
    variant: str
    rules: tuple[tuple[str, str], ...]
    classifier: str
    unused: tuple[str, ...] = ()
    tell_options: Callable[[Mapping[str, Tensor]], dict[str, Any]] = field(default=_no_options)

    def rename(self, name: str) -> str | None:
        """Returns the name here of a tensor of the source, or None if no rule knows it."""
        for pattern, replacement in self.rules:
            if re.fullmatch(pattern, name):
                return re.sub(pattern, replacement, name)
        return None

    def renamed(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Returns the tensors under their names here, unknown ones under their own, without those that are unused."""
        return {
            self.rename(name) or name: tensor
            for name, tensor in state.items()
            if not any(re.fullmatch(pattern, name) for pattern in self.unused)
        }

    def options(self, state: Mapping[str, Tensor]) -> dict[str, Any]:
        """Returns the options that differ from the variant's, as the names and shapes in `state` tell them."""
        return self.tell_options(state)


def conv_norm(theirs: str, ours: str, conv: str = "conv", norm: str = "bn") -> Rules:
    """Rules for one convolution with its normalization."""
    theirs = re.escape(theirs)
    return [
        (theirs + re.escape("." + conv) + r"\.(weight|bias)", ours + r".conv.\1"),
        (theirs + re.escape("." + norm) + rf"\.{NORM}", ours + r".norm.\1"),
    ]


def plain(theirs: str, ours: str) -> Rules:
    """Rules for one layer without normalization."""
    return [(re.escape(theirs) + r"\.(weight|bias)", ours + r".\1")]


def same(theirs: str, ours: str) -> Rules:
    """A rule for a part in which all names are the same behind its own."""
    return [(re.escape(theirs) + r"\.(.+)", ours + r".\1")]


def bottlenecks(prefix: str, parts: Mapping[str, tuple[str, str]]) -> Rules:
    """Rules for Fast-SCNN's three groups of three bottlenecks, which stand in one row here.

    Args:
        prefix: pattern with the place of the group's name, such as `bottleneck{group}`.
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


def resnet_options(state: Mapping[str, Tensor], backbone: str, stem: str) -> dict[str, Any]:
    """Returns which ResNet the tensors are of.

    Args:
        state: tensors by the source's names.
        backbone: what its names begin with.
        stem: name of the deep stem's first convolution, behind that.
    """
    options: dict[str, Any] = {
        "backbone": "resnet101" if f"{backbone}.layer3.6.conv1.weight" in state else "resnet50",
        "stem": "plain",
    }
    first = state.get(f"{backbone}.{stem}")
    if first is not None:
        options |= {"stem": "deep", "stem_width": 64 if first.shape[:1] == (64,) else 32}
    return options

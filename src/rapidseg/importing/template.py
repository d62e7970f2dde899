"""Graphs without weights, which come with the package: their names, rules and shapes.

`rapidseg.exporting.templates` makes them; `rapidseg.importing.model_building` fills them. In the metadata of a
template, `rapidseg.template` is a JSON object. Its `rules` say how each value of the graph is computed:

    {"tensor": NAME}                                            a tensor of the network, reshaped if "shape" is given
    {"conv": NAME, "norm": PREFIX, "eps": E, "part": "weight"}  a convolution with its batch normalization folded in
    {"spec": "mean"}                                            normalization of the image

Its `shapes` are those of the network's tensors, auxiliary heads apart; a size may be `classes` or a multiple of
`stem_width`. `stride` is the stride of the logits.
"""

from __future__ import annotations

import functools
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rapidseg.checkpoints import StoredTensor, list_misfits
from rapidseg.runtime.model_file import read_metadata

FOLDER = Path(__file__).with_name("templates")  # an archive per architecture: its graphs differ little, so it is small
VARIANTS = FOLDER / "variants.json"
TEMPLATE_KEY = "rapidseg.template"
AUXILIARY = ("aux_heads.", "head.se_branch.")  # beginnings of the names of tensors that only training uses

# Options of networks that do not change the graph from image to logits, apart from the shapes of its tensors.
_OTHER_OPTIONS = ("aux_head", "aux_heads", "se_branch", "dropout", "stem_width")


def network_name(architecture: str, options: Mapping[str, Any]) -> str:
    """Returns the name of the graph of a network: its architecture and the options that shape the graph."""
    parts = [architecture]
    for key, value in sorted(options.items()):
        if key not in _OTHER_OPTIONS:
            text = "x".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
            parts.append(f"{key}={text}")
    return ",".join(parts)


@dataclass(frozen=True)
class TensorShape:
    """A tensor that a network has."""

    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class Template:
    """A graph without weights.

    Attributes:
        graph: an ONNX file.
        rules: of which tensors each value of the graph is computed.
        shapes: of all tensors of the network; sizes may be expressions.
        stride: of the logits.
    """

    graph: bytes
    rules: Mapping[str, Mapping[str, Any]]
    shapes: Mapping[str, Sequence[int | str]]
    stride: int

    def tensors(self, num_classes: int, options: Mapping[str, Any]) -> dict[str, TensorShape]:
        """Returns the tensors of the network with these options, without those of auxiliary heads."""
        sizes = {"classes": num_classes, "stem_width": options.get("stem_width", 0)}

        def size(value: int | str) -> int:
            if isinstance(value, int):
                return value
            name, _, factor = value.partition("*")
            return sizes[name] * int(factor or 1)

        return {
            name: TensorShape(tuple(map(size, shape)), "int64" if name.endswith("num_batches_tracked") else "float32")
            for name, shape in self.shapes.items()
        }

    def misfits(self, state: Mapping[str, StoredTensor], num_classes: int, options: Mapping[str, Any]) -> str:
        """Returns how tensors, auxiliary heads apart, differ from those of the network, as `list_misfits` does."""
        used = {name: tensor for name, tensor in state.items() if not name.startswith(AUXILIARY)}
        return list_misfits(self.tensors(num_classes, options), used)


def find_template(architecture: str, options: Mapping[str, Any]) -> Template | None:
    """Returns the template of a network with these options, or None if there is none."""
    if architecture not in variant_options():
        return None
    with tarfile.open(archive_of(architecture)) as archive:
        try:
            file = archive.extractfile(f"{network_name(architecture, options)}.onnx")
        except KeyError:
            return None
        assert file is not None, "the archive has files only"
        graph = file.read()
    facts = json.loads(read_metadata(graph)[TEMPLATE_KEY])
    return Template(graph, facts["rules"], facts["shapes"], facts["stride"])


def has_template(architecture: str, options: Mapping[str, Any]) -> bool:
    """Returns whether there is a template of a network with these options."""
    return f"{network_name(architecture, options)}.onnx" in _names(architecture)


def unusual_options(architecture: str, options: Mapping[str, Any]) -> str:
    """Returns the options in which a network without a template differs from the nearest one with a template.

    Returns:
        Such as `width=0.5` or `backbone=resnet18, stem=plain`; empty if the architecture has no templates.
    """
    own = network_name(architecture, options).split(",")[1:]
    known = [name.removesuffix(".onnx").split(",")[1:] for name in sorted(_names(architecture))]
    differing = [[part for part in own if part not in parts] for parts in known]
    nearest = min(differing, key=len) if differing else []
    return ", ".join(nearest)


def archive_of(architecture: str) -> Path:
    """Returns the archive with the templates of an architecture."""
    return FOLDER / f"{architecture}.tar.xz"


@functools.cache
def _names(architecture: str) -> frozenset[str]:
    if architecture not in variant_options():
        return frozenset()
    with tarfile.open(archive_of(architecture)) as archive:
        return frozenset(archive.getnames())


@functools.cache
def variant_options() -> Mapping[str, Mapping[str, Mapping[str, Any]]]:
    """Returns the options of the variants of each architecture."""
    variants: dict[str, dict[str, dict[str, Any]]] = json.loads(VARIANTS.read_text(encoding="utf-8"))
    return variants


def norm_inputs(rule: Mapping[str, Any]) -> tuple[str, ...]:
    """Returns the tensors of a convolution with batch normalization; the convolution may have no bias of its own."""
    parts = ("weight", "bias", "running_mean", "running_var")
    return (rule["conv"], _own_bias(rule), *(f"{rule['norm']}.{part}" for part in parts))


def folded_weight(rule: Mapping[str, Any], state: Mapping[str, np.ndarray]) -> np.ndarray:
    """Returns the float32 weight of a convolution with its batch normalization folded in; products are in float64.

    In evaluation mode, batch normalization multiplies each channel by weight / sqrt(running_var + eps).

    Args:
        rule: has `conv`, the name of the convolution's weight; `norm`, the prefix of the normalization; and `eps`.
        state: the tensors of the network.
    """
    weight = state[rule["conv"]]
    return np.asarray((weight * _scale(rule, state).reshape(-1, *[1] * (weight.ndim - 1))).astype(np.float32))


def folded_bias(rule: Mapping[str, Any], state: Mapping[str, np.ndarray]) -> np.ndarray:
    """Returns the float32 bias that goes with `folded_weight`."""
    shift = state.get(_own_bias(rule), 0) - state[f"{rule['norm']}.running_mean"].astype(np.float64)
    return np.asarray((state[f"{rule['norm']}.bias"] + shift * _scale(rule, state)).astype(np.float32))


def _scale(rule: Mapping[str, Any], state: Mapping[str, np.ndarray]) -> np.ndarray:
    norm = rule["norm"]
    std = np.sqrt(state[f"{norm}.running_var"].astype(np.float64) + rule["eps"])
    return np.asarray(state[f"{norm}.weight"] / std)


def _own_bias(rule: Mapping[str, Any]) -> str:
    return str(rule["conv"]).removesuffix("weight") + "bias"

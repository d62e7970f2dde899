"""Graphs without weights: what `rapidseg.importing.model_building` fills with the weights of a checkpoint.

A template is the ONNX graph that `export_onnx` writes for a network, without the values that depend on weights. For
each of these, its metadata says of which tensors of the network it is computed: of one tensor, or of a convolution and
the batch normalization that the exporter folded into it. These rules are found by comparing the values of an exported
network with random weights. `scripts/make_templates.py` writes all templates, an archive for each architecture.
"""

from __future__ import annotations

import io
import json
import re
import tarfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from onnx import helper, numpy_helper
from torch import nn

from rapidseg.core.errors import ExportError
from rapidseg.core.files import atomic_path
from rapidseg.exporting.onnx_graph import build_graph
from rapidseg.importing.template import (
    FOLDER,
    TEMPLATE_KEY,
    VARIANTS,
    archive_of,
    folded_bias,
    folded_weight,
    network_name,
)
from rapidseg.models import SegmentationModel, create_model
from rapidseg.models.registry import ARCHITECTURES

_WITHOUT_AUXILIARY: Mapping[str, Mapping[str, Any]] = {
    "fast-scnn": {"aux_heads": ()},
    "fastfcn": {"aux_head": False, "se_branch": False},
    "deeplabv3": {"aux_head": False},
    "pspnet": {"aux_head": False},
    "encnet": {"aux_head": False, "se_branch": False},
}
_CLASSES = (19, 7)  # of two networks whose shapes are compared
_STEM_WIDTHS = (32, 64)
_MAX_CONSTANT = 16  # elements of a value that no rule explains, such as the bins of pyramid pooling; or all are equal
_RELATIVE_ERROR = 1e-5  # of the exporter's folding in float32


@dataclass(frozen=True)
class TemplateNetwork:
    """A network to make a template of: an architecture, and how it differs from a variant."""

    architecture: str
    variant: str
    options: Mapping[str, Any]

    def resolved_options(self) -> dict[str, Any]:
        """Returns all options of the network, as its specification has them."""
        architecture = ARCHITECTURES[self.architecture]
        options = {**architecture.variants[self.variant].model_dump(), **self.options}
        dumped: dict[str, Any] = architecture.options.model_validate(options).model_dump(mode="json")
        return dumped

    def build(self, num_classes: int, **options: Any) -> SegmentationModel:
        """Returns the network with random weights, in evaluation mode."""
        chosen = {**self.options, **_WITHOUT_AUXILIARY[self.architecture], **options}
        return create_model(self.architecture, num_classes, variant=self.variant, **chosen).eval()


def _networks() -> Iterator[TemplateNetwork]:
    for variant in ARCHITECTURES["fast-scnn"].variants:
        yield TemplateNetwork("fast-scnn", variant, {})
    for backbone, stem in (("resnet50", "deep"), ("resnet101", "deep"), ("resnet50", "plain"), ("resnet101", "plain")):
        for architecture in ("fastfcn", "deeplabv3", "pspnet", "encnet"):
            for variant in ARCHITECTURES[architecture].variants:
                for own in _own_options(architecture, variant):
                    yield TemplateNetwork(architecture, variant, {"backbone": backbone, "stem": stem, **own})


def _own_options(architecture: str, variant: str) -> Iterator[dict[str, Any]]:
    if architecture == "fastfcn":
        for neck in ("jpu", "jpu_x") if variant == "wuhuikai" else ("jpu",):
            for head in ("enc", "psp", "aspp", "fcn"):
                yield {"neck": neck, "head": head}
    elif architecture == "encnet":
        yield from ({"lateral": lateral} for lateral in (False, True))
    else:
        yield {}


NETWORKS: dict[str, TemplateNetwork] = {
    network_name(network.architecture, network.resolved_options()): network for network in _networks()
}
"""Every network that has a template, by its name."""


def make_templates(names: Collection[str] = ()) -> Iterator[str]:
    """Completes the archives of templates, and yields a line about each template.

    Args:
        names: of the templates to make again; if empty, those that are missing are made.
    """
    FOLDER.mkdir(exist_ok=True)
    variants = {
        name: {variant: options.model_dump(mode="json") for variant, options in architecture.variants.items()}
        for name, architecture in ARCHITECTURES.items()
    }
    VARIANTS.write_text(json.dumps(variants, indent=1) + "\n", encoding="utf-8")
    for name, network in NETWORKS.items():
        templates = _read(archive_of(network.architecture))
        if name in names or (not names and name not in templates):
            templates[name] = make_template(network)
            _write(archive_of(network.architecture), templates)
            yield f"{name}: {len(templates[name])} bytes"


def make_template(network: TemplateNetwork) -> bytes:
    """Exports a network and returns its graph without weights.

    Raises:
        ExportError: a value of the graph can be explained neither by a tensor of the network nor as a constant.
    """
    model = network.build(_CLASSES[0])
    _randomize(model)
    graph = build_graph(model, model.spec)
    state = {name: tensor.numpy() for name, tensor in model.state_dict().items() if tensor.is_floating_point()}
    norms = {
        name: module for name, module in model.named_modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)
    }
    rules = {}
    for tensor in graph.graph.initializer:
        values = numpy_helper.to_array(tensor)
        rule = _find_rule(tensor.name, values, state, norms)
        if rule is not None:
            rules[tensor.name] = rule
            tensor.ClearField("raw_data")
        elif values.dtype == np.float32 and values.size > _MAX_CONSTANT and np.ptp(values) > 0:
            raise ExportError(f"{network}: {tensor.name} {values.shape} is computed of several tensors")
    facts = {"rules": rules, "shapes": _shapes(network), "stride": model.spec.stride}
    helper.set_model_props(graph, {TEMPLATE_KEY: json.dumps(facts)})
    return bytes(graph.SerializeToString(deterministic=True))


def _randomize(model: SegmentationModel) -> None:
    """Gives every tensor values that no other has; variances stay positive."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for tensor in model.state_dict().values():
            if tensor.is_floating_point():
                tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)


def _find_rule(
    name: str, values: np.ndarray, state: Mapping[str, np.ndarray], norms: Mapping[str, nn.Module]
) -> dict[str, Any] | None:
    """Returns how a value of the graph is computed of the network's tensors; None for a constant."""
    if values.dtype != np.float32 or values.size == 0:
        return None
    if name in ("normalization.mean", "normalization.std"):
        return {"spec": name.removeprefix("normalization.")}
    for source in (name, *state):
        given = state.get(source)
        if given is not None and given.size == values.size and np.array_equal(given.ravel(), values.ravel()):
            reshaped = {} if given.shape == values.shape else {"shape": list(values.shape)}
            return {"tensor": source, **reshaped}
    # The exporter calls the bias `conv.weight_bias`, or `conv.bias` where the convolution has one of its own.
    is_bias = name.endswith("bias")
    conv = re.sub(r"weight_bias$|bias$", "weight", name)
    if conv not in state:
        return None
    for norm, module in norms.items():
        rule = {"conv": conv, "norm": norm, "eps": float(module.eps)}  # type: ignore[arg-type]
        if state[f"{norm}.weight"].size != state[conv].shape[0]:
            continue
        folded = folded_bias(rule, state) if is_bias else folded_weight(rule, state)
        if folded.shape == values.shape and np.allclose(folded, values, rtol=_RELATIVE_ERROR, atol=_RELATIVE_ERROR):
            return {**rule, "part": "bias" if is_bias else "weight"}
    return None


def _shapes(network: TemplateNetwork) -> dict[str, list[int | str]]:
    """Returns the shapes of the network's tensors; sizes that depend on options or classes are expressions."""
    has_stem = network.options.get("stem") == "deep"
    both = []
    for classes, width in zip(_CLASSES, _STEM_WIDTHS, strict=True):
        with torch.device("meta"):
            model = network.build(classes, **({"stem_width": width} if has_stem else {}))
        both.append({name: tuple(tensor.shape) for name, tensor in model.state_dict().items()})
    return {
        name: [_expression(a, b) for a, b in zip(shape, both[1][name], strict=True)] for name, shape in both[0].items()
    }


def _expression(first: int, second: int) -> int | str:
    if first == second:
        return first
    if (first, second) == _CLASSES:
        return "classes"
    if first * _STEM_WIDTHS[1] == second * _STEM_WIDTHS[0] and first % _STEM_WIDTHS[0] == 0:
        return f"stem_width*{first // _STEM_WIDTHS[0]}"
    raise ExportError(f"a size is {first} or {second}, for which there is no expression")


def _read(archive: Path) -> dict[str, bytes]:
    """Returns the templates in an archive by their names; none if it does not exist."""
    if not archive.exists():
        return {}
    with tarfile.open(archive) as file:
        return {member.name.removesuffix(".onnx"): file.extractfile(member).read() for member in file}  # type: ignore[union-attr]


def _write(archive: Path, templates: Mapping[str, bytes]) -> None:
    """Writes an archive; the same templates give the same bytes."""
    with atomic_path(archive) as temporary, tarfile.open(temporary, "w:xz", preset=9) as file:
        for name, content in sorted(templates.items()):
            entry = tarfile.TarInfo(f"{name}.onnx")
            entry.size = len(content)
            file.addfile(entry, io.BytesIO(content))

"""Which network the tensor names of FastFCN and its baselines tell; their values are compared in `parity`."""

from __future__ import annotations

import json
import re

import pytest
import torch

from rapidseg.core.errors import ConfigError
from rapidseg.importing import load_checkpoint
from rapidseg.importing.layouts import LAYOUTS
from rapidseg.importing.recognition import find_layout
from rapidseg.models import create_model


def invert(layout, name):
    """The source's name of a tensor, by turning the layout's rules round."""
    for pattern, replacement in layout.rules:
        groups = re.findall(r"\(.*?\)(?!\))", pattern)
        assert len(groups) <= 1, pattern
        ours = re.escape(replacement).replace(r"\\1", "(?P<tail>.+)")
        match = re.fullmatch(ours, name)
        if match is None:
            continue
        theirs = pattern
        if groups:
            if not re.fullmatch(groups[0], match["tail"]):
                continue
            theirs = pattern.replace(groups[0], match["tail"])
        theirs = re.sub(r"\\(.)", r"\1", theirs)
        if layout.rename(theirs) == name:
            return theirs
    raise AssertionError(f"no rule of {layout.architecture} of {layout.source} gives {name}")


def published_state(layout, **options):
    """Shapes without values, as the source would name them; its ImageNet classifier is among them."""
    with torch.device("meta"):
        model = create_model(layout.architecture, 7, variant=layout.variant, **options)
    state = {invert(layout, name): tensor for name, tensor in model.state_dict().items()}
    if model.spec.options["stem"] == "plain":  # rules turned round give the names of the deep stem
        plain = {"backbone.stem.0.": "backbone.conv1.", "backbone.stem.1.": "backbone.bn1."}
        for deep, name in plain.items():
            state = {theirs.replace(deep, name): tensor for theirs, tensor in state.items()}
    if layout.unused:
        state["pretrained.fc.weight"] = torch.empty(1000, 2048, device="meta")
        state["pretrained.fc.bias"] = torch.empty(1000, device="meta")
    return state, model


def options_of(layout):
    """Options of each kind that this layout's tensors tell."""
    yield {}
    yield {"backbone": "resnet101", "aux_head": False}
    if layout.variant == "openmmlab":
        yield {"stem": "plain"}
        yield {"stem_width": 64}
    if layout.architecture == "encnet":
        yield {"lateral": True, "se_branch": False}


FAMILY = [layout for layout in LAYOUTS if layout.architecture != "fast-scnn"]


@pytest.mark.parametrize("layout", FAMILY, ids=lambda layout: f"{layout.source}-{'-'.join(layout.markers[1:])}")
def test_names_and_shapes_tell_the_network(layout):
    told_by_markers = {key: value for key, value in layout.options({}).items() if key in ("head", "neck")}
    for options in options_of(layout):
        state, model = published_state(layout, **told_by_markers, **options)
        found = find_layout(state)
        assert found is not None
        assert (found.source, found.architecture) == (layout.source, layout.architecture)
        told = found.options(state)
        with torch.device("meta"):
            again = create_model(found.architecture, 7, variant=found.variant, **told)
        assert again.spec == model.spec
        shapes = {name: tensor.shape for name, tensor in found.renamed(state).items()}
        assert shapes == {name: tensor.shape for name, tensor in again.state_dict().items()}


def test_the_stride_of_a_baseline_is_8_unless_it_is_given(parity_dir, tmp_path):
    meta = json.loads((parity_dir / "openmmlab" / "encnet_r50-d8.json").read_text())
    state = {name: torch.zeros(shape, dtype=getattr(torch, dtype)) for name, shape, dtype in meta["state_dict"]}
    torch.save({"state_dict": state}, tmp_path / "encnet.pth")
    assert load_checkpoint(tmp_path / "encnet.pth").spec.stride == 8
    model = load_checkpoint(tmp_path / "encnet.pth", options={"output_stride": 32})
    assert (model.spec.stride, model.backbone.strides) == (32, (4, 8, 16, 32))
    with pytest.raises(ConfigError, match=r"unknown option 'output_strid' of encnet \(did you mean 'output_stride'"):
        load_checkpoint(tmp_path / "encnet.pth", options={"output_strid": 32})

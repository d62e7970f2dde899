"""Starts a segmentation network from a pretrained encoder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from rapidseg.core.encoder_spec import EncoderSpec
from rapidseg.core.errors import ConfigError
from rapidseg.importing.checkpoint_weights import check_values
from rapidseg.importing.download import Note
from rapidseg.importing.weights_use import WeightsUse, copy_weights
from rapidseg.models import SegmentationModel
from rapidseg.models.encoder_file import CLASSIFIER

# Options without influence on the layers that two networks share, or compared where they have one.
_OTHER_OPTIONS = {"aux_head", "aux_heads", "dropout", "width", "backbone", "stem", "stem_width"}


def initialize_from_encoder(
    model: SegmentationModel, spec: EncoderSpec, state: Mapping[str, Tensor], *, source: str, note: Note
) -> WeightsUse:
    """Copies an encoder into the part of a network that it pretrains.

    Of a ResNet with another stem, the four layers are copied and the stem keeps its random start.

    Args:
        model: a Fast-SCNN, or a network with a ResNet as its backbone.
        spec: of the encoder.
        state: its tensors, by our names.
        source: what the user passed.
        note: called with each decision, in a sentence.

    Raises:
        ConfigError: the encoder belongs to another network, or to one of another width.
        ModelFileError: nothing in it fits, or its values are not finite.
    """
    check_values({name: tensor.float() for name, tensor in state.items()}, source)
    _check_network(model, spec, source)
    prefix = "" if spec.network == "fast-scnn" else "backbone."
    tensors = {name if name.startswith(CLASSIFIER) else prefix + name: tensor for name, tensor in state.items()}
    excluded = {name: "linear layer of pretraining" for name in tensors if name.startswith(CLASSIFIER)}
    if prefix and _stem(spec.options) != _stem(model.spec.options):
        excluded |= {name: "another stem" for name in tensors if name.startswith("backbone.stem.")}
        note(
            f"the encoder has the stem {_stem(spec.options)}, the network {_stem(model.spec.options)}; the network's "
            "stem starts from random weights"
        )
    note_differing_options(spec.options, model.spec.options, note)
    return copy_weights(
        model,
        tensors,
        source=source,
        excluded=excluded,
        mean=spec.mean,
        std=spec.std,
        trained_on=() if spec.dataset is None else (spec.dataset,),
    )


def note_differing_options(theirs: Mapping[str, Any], ours: Mapping[str, Any], note: Note) -> None:
    """Names the options with which the weights were trained and the network is not built."""
    differing = {
        key: f"{key} {theirs[key]} (here {ours[key]})"
        for key in theirs
        if key in ours and key not in _OTHER_OPTIONS and theirs[key] != ours[key]
    }
    if differing:
        note(
            f"the weights were trained with other options: {', '.join(differing.values())}; to keep theirs, set them "
            "in model.options"
        )


def check_width(theirs: Mapping[str, Any], ours: Mapping[str, Any], source: str) -> None:
    """Rejects weights of a network with other channel counts.

    Raises:
        ConfigError: the widths differ.
    """
    width, expected = theirs.get("width", 1.0), ours.get("width", 1.0)
    if width != expected:
        raise ConfigError(
            f"{source}: its network has width {width}, this one {expected}; set model.options.width={width}, or pass "
            "other weights"
        )


def _check_network(model: SegmentationModel, spec: EncoderSpec, source: str) -> None:
    architecture, options = model.spec.architecture, model.spec.options
    if spec.network == "fast-scnn":
        if architecture != "fast-scnn":
            raise ConfigError(
                f"{source} is an encoder of fast-scnn, which {architecture} does not have; pass an encoder of "
                f"{options['backbone']}"
            )
    elif "backbone" not in options:
        raise ConfigError(f"{source} is an encoder of {spec.network}, which {architecture} does not have")
    elif options["backbone"] != spec.network:
        raise ConfigError(
            f"{source} is an encoder of {spec.network}, but the backbone of the network is {options['backbone']}; set "
            f"model.options.backbone={spec.network}, or pass another encoder"
        )
    check_width(spec.options, options, source)


def _stem(options: Mapping[str, Any]) -> str:
    """Describes a ResNet's stem; without options it is that of torchvision."""
    stem = options.get("stem", "plain")
    return f"{stem} {options.get('stem_width', 32)}" if stem == "deep" else str(stem)

"""Starts a network from the weights of another one, as far as they fit."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from rapidseg.core.errors import ConfigError
from rapidseg.core.progress import Counter
from rapidseg.importing.built_in import is_built_in
from rapidseg.importing.checkpoint import load_checkpoint
from rapidseg.importing.download import Note, log
from rapidseg.importing.encoder import check_width, initialize_from_encoder, note_differing_options
from rapidseg.importing.encoder_checkpoint import find_encoder
from rapidseg.importing.recognition import find_checkpoint
from rapidseg.importing.weights_use import WeightsUse, copy_weights
from rapidseg.models import SegmentationModel, create_model


def initialize_from(
    model: SegmentationModel,
    source: str | os.PathLike[str],
    *,
    progress: Counter | None = None,
    note: Note | None = None,
) -> WeightsUse:
    """Copies weights into a network, tensor by tensor, where name and shape fit.

    Class layers are copied only if the classes are the same, in the same order.

    Args:
        model: the network. `WeightsUse.updated` returns its specification with what the weights bring along.
        source: a checkpoint that `load_checkpoint` reads (a file, a URL, the name of a published model), the built-in
            model `fast-scnn-camvid`, or an encoder that `rapidseg pretrain` wrote.
        progress: called with the bytes downloaded and the bytes in all, or None where that is unknown.
        note: called with each decision, in a sentence. None: decisions are logged (`rapidseg.importing`, INFO).

    Returns:
        Which tensors were used, which keep their random start, and which of the file were not used, with the reason.

    Raises:
        ConfigError: the weights belong to a network of another architecture, backbone or width.
        ModelFileError: the file cannot be read, or nothing in it fits.
        RapidSegError: the file cannot be downloaded, or is not the expected one.
    """
    note = note or log.info
    source = os.fspath(source)
    path = source if is_built_in(source) else find_checkpoint(source, progress=progress, note=note)
    encoder = find_encoder(path, note=note) if isinstance(path, Path) else None
    if encoder is not None:
        return initialize_from_encoder(model, *encoder, source=source, note=note)
    given = load_checkpoint(path, note=note)
    _check_same_network(model, given, source)
    note_differing_options(given.spec.options, model.spec.options, note)
    excluded = {}
    if given.spec.labels.names != model.spec.labels.names:
        state = given.state_dict()
        excluded = {name: "other classes" for name in _class_layers(model) if name in state}
        theirs, ours = given.spec.labels.num_classes, model.spec.labels.num_classes
        note(
            f"the weights are for {theirs} other classes than the {ours} of the data, so the class layers start from "
            "random weights"
        )
    return copy_weights(
        model,
        given.state_dict(),
        source=source,
        excluded=excluded,
        mean=given.spec.mean,
        std=given.spec.std,
        trained_on=given.spec.training_splits,
    )


def _check_same_network(model: SegmentationModel, given: SegmentationModel, source: str) -> None:
    theirs, ours = given.spec, model.spec
    if theirs.architecture != ours.architecture:
        raise ConfigError(
            f"{source} is a {theirs.architecture}, but this run trains a {ours.architecture}; pass weights of a "
            f"{ours.architecture}, or set model.name={theirs.architecture}"
        )
    backbone, expected = theirs.options.get("backbone"), ours.options.get("backbone")
    if backbone != expected:
        raise ConfigError(
            f"{source} has the backbone {backbone}, but this run trains {expected}; set "
            f"model.options.backbone={backbone}, or pass other weights"
        )
    check_width(theirs.options, ours.options, source)


def _class_layers(model: SegmentationModel) -> list[str]:
    """Returns the tensors whose shape depends on the number of classes."""
    spec = model.spec
    num_classes = spec.labels.num_classes
    with torch.device("meta"):
        other = create_model(spec.architecture, num_classes - 1 if num_classes > 2 else 3, **spec.options)
    shapes = {name: tensor.shape for name, tensor in other.state_dict().items()}
    return [name for name, tensor in model.state_dict().items() if tensor.shape != shapes[name]]

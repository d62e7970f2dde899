"""Loads checkpoints, ours and published ones, as models."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rapidseg.core.errors import ConfigError, ModelFileError
from rapidseg.core.labels import LabelSet
from rapidseg.core.progress import Counter
from rapidseg.importing.backbone import backbone_kind
from rapidseg.importing.built_in import is_built_in, load_built_in
from rapidseg.importing.checkpoint_file import read_content
from rapidseg.importing.checkpoint_weights import check_values, choose_weights, find_weights
from rapidseg.importing.class_names import LabelsLike, labels_for
from rapidseg.importing.download import Note, is_url, locate, log
from rapidseg.importing.layouts import LAYOUTS, Layout
from rapidseg.models import SegmentationModel, create_model, load_model, load_state
from rapidseg.models.weights_file import list_misfits
from rapidseg.zoo import model_hint, published_models

_NEAR = 0.5  # share of names that a layout must know before its other names are worth listing


def load_checkpoint(
    source: str | os.PathLike[str],
    *,
    labels: LabelsLike | None = None,
    sha256: str | None = None,
    ema: bool | None = None,
    options: Mapping[str, Any] | None = None,
    progress: Counter | None = None,
    note: Note | None = None,
) -> SegmentationModel:
    """Reads a checkpoint of RapidSeg or of a published implementation, recognized by its tensor names.

    Only tensors are read: no code in the file is run. docs/importing.md lists the supported sources.

    Args:
        source: a file; an `http(s)` URL, whose file is downloaded once and kept; or the name of a published model,
            such as `fast-scnn-cityscapes`, whose weights are downloaded, or of the built-in one.
        labels: the classes of a published checkpoint: a label set, the name of a known one such as `cityscapes`, a YAML
            file that describes a data set, or names. None: the classes that the file names. If it names none, 19
            classes are assumed to be those of Cityscapes, and others are called `class_0` and so on.
        sha256: the first 8 to 64 hex digits of the file's SHA-256; `fetch` says what is checked without it.
        ema: of two copies of the weights, whether to take the moving average. None: the average if there is one.
        options: of the network, where a checkpoint's tensors do not tell them, such as `{"output_stride": 32}` for a
            baseline whose backbone is not dilated; docs/compatibility.md says which they are.
        progress: called with the bytes downloaded and the bytes in all, or None where that is unknown. None: a line on
            standard error shows them, if that is a terminal.
        note: called with each decision, in a sentence. None: decisions are logged (`rapidseg.importing`, INFO).

    Returns:
        The model in evaluation mode on the CPU in float32, with every tensor from the file.

    Raises:
        ModelFileError: the file is missing, truncated or of an unknown layout, cannot be read without running code, or
            its tensors do not fit.
        ConfigError: `labels`, `ema` or `options` does not match the file.
        InputError: `labels` or the URL is not valid.
        RapidSegError: the file cannot be downloaded, or is not the expected one.
    """
    note = note or log.info
    if is_built_in(os.fspath(source)):
        if labels is not None or ema is not None or options:
            raise ConfigError(f"{source} has its own labels, options and weights; pass the name alone")
        return load_built_in(os.fspath(source))
    path = find_checkpoint(source, sha256=sha256, progress=progress, note=note)
    content, own = read_content(path)
    if own:
        if labels is not None or ema is not None or options:
            extra = "labels" if labels is not None else "options" if options else "ema"
            raise ConfigError(f"{path} has its own labels and options and a single set of weights; remove {extra}")
        return load_model(path)
    candidates = find_weights(content, _is_known, path=path)
    if not candidates:
        raise ModelFileError(f"{path} holds no dictionary of tensors; pass a checkpoint with a state_dict")
    known = [weights for weights in candidates if find_layout(weights.state) is not None]
    if not known:
        raise ModelFileError(f"{path}: {_explain_unknown(max((w.state for w in candidates), key=len), content)}")
    state = choose_weights(known, ema, path=path, note=note)
    layout = find_layout(state)
    assert layout is not None, "the names that identify the layout are in the state"
    renamed = layout.renamed(state)
    counts = renamed[layout.classifier].shape[:1] if layout.classifier in renamed else ()
    chosen = labels_for(counts[0] if counts else 0, labels, content, path=path, note=note)
    model = _build(layout, state, chosen, options)
    load_state(
        model, _with_counters(renamed, model), where=f"{path} (read as {layout.architecture} of {layout.source})"
    )
    check_values(state, path)
    model.spec = model.spec.model_copy(update={"source": layout.source})
    return model.eval()


def find_checkpoint(
    source: str | os.PathLike[str],
    *,
    sha256: str | None = None,
    progress: Counter | None = None,
    note: Note | None = None,
) -> Path:
    """Returns the local file of a checkpoint, downloading it where needed; arguments are those of `load_checkpoint`.

    Raises:
        ModelFileError: a name is that of no published model.
        InputError: the URL is not valid.
        RapidSegError: the file cannot be downloaded, or is not the expected one.
    """
    return locate(resolve_name(os.fspath(source)), sha256=sha256, progress=progress, note=note)


def resolve_name(source: str) -> str:
    """Returns the URL of the weights for the name of a published model, and everything else as it is."""
    if is_url(source) or not re.fullmatch(r"[\w-]+", source) or Path(source).exists():
        return source
    models = published_models()
    if source not in models:
        raise ModelFileError(f"{source} is neither a file nor the name of a model{model_hint(source)}")
    return models[source].url


def find_layout(names: Collection[str]) -> Layout | None:
    """Returns the layout of tensor names without prefixes, or None if no layout has such names."""
    return next((layout for layout in LAYOUTS if all(marker in names for marker in layout.markers)), None)


def _is_known(names: Collection[str]) -> bool:
    return find_layout(names) is not None or backbone_kind(names) is not None


def _build(
    layout: Layout, state: Mapping[str, Tensor], labels: LabelSet, options: Mapping[str, Any] | None
) -> SegmentationModel:
    chosen = {**layout.options(state), **(options or {})}
    return create_model(layout.architecture, labels=labels, variant=layout.variant, **chosen)


def _with_counters(state: Mapping[str, Tensor], model: SegmentationModel) -> dict[str, Tensor]:
    """Adds `num_batches_tracked`, which older PyTorch did not store and prediction does not use."""
    counters = (name for name in model.state_dict() if name.endswith("num_batches_tracked"))
    return {**{name: torch.zeros((), dtype=torch.long) for name in counters}, **state}


def _explain_unknown(state: Mapping[str, Tensor], content: Any) -> str:
    """Explains why no layout knows these tensors, as precisely as their names allow."""
    kind = backbone_kind(state)
    if kind is not None:
        return (
            f"is only a backbone ({kind}), not a segmentation network; start a training run from it with the recipe's "
            "key model.backbone_weights, or rapidseg.importing.load_backbone"
        )
    if isinstance(content, Mapping) and {"pytorch-lightning_version", "random_state"} <= set(content):
        return "is the state of a training run, for resuming it; pass best.safetensors or last.safetensors"
    shares = {layout: sum(layout.rename(name) is not None for name in state) / len(state) for layout in LAYOUTS}
    nearest = max(LAYOUTS, key=lambda layout: (shares[layout], -len(layout.rules)))
    named = f"{nearest.architecture} of {nearest.source}"
    if shares[nearest] < _NEAR:
        return (
            f"unknown tensor names ({', '.join(list(state)[:3])}, ...); known layouts: {_list_layouts()}. The nearest, "
            f"{named}, knows {shares[nearest]:.0%} of the names"
        )
    renamed = nearest.renamed(state)
    labels = LabelSet.generic(max(2, *renamed[nearest.classifier].shape[:1]) if nearest.classifier in renamed else 2)
    model = _build(nearest, state, labels, None)
    problems = list_misfits(model.state_dict(), _with_counters(renamed, model))
    return f"unknown tensor names. The nearest layout, {named}, knows {shares[nearest]:.0%} of them; {problems}"


def _list_layouts() -> str:
    architectures: dict[str, dict[str, None]] = {}
    for layout in LAYOUTS:
        architectures.setdefault(layout.source, {})[layout.architecture] = None
    return "; ".join(f"{', '.join(names)} of {source}" for source, names in architectures.items())

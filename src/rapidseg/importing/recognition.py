"""Recognizes checkpoints, ours and published ones, by their tensor names. PyTorch is not needed."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rapidseg.checkpoints import Checkpoint, StoredTensor, checksum, read_checkpoint, with_counters
from rapidseg.checkpoints.other_kinds import explain_numpy_pickle, explain_special_tensor
from rapidseg.core.encoder_spec import ENCODER_KEY, EncoderSpec, explain_encoder
from rapidseg.core.errors import ConfigError, ModelFileError
from rapidseg.core.labels import LabelSet
from rapidseg.core.progress import Counter
from rapidseg.core.spec import SPEC_KEY, ModelSpec
from rapidseg.importing.backbone_names import backbone_kind
from rapidseg.importing.checkpoint_weights import check_values, choose_weights, find_weights, note_skipped, set_aside
from rapidseg.importing.class_names import LabelsLike, labels_for
from rapidseg.importing.download import Note, is_url, locate, log
from rapidseg.importing.layouts import LAYOUTS, Layout
from rapidseg.importing.template import find_template, variant_options
from rapidseg.zoo import PublishedModel, model_hint, published_models

_NEAR = 0.5  # share of names that a layout must know before its other names are worth listing


@dataclass(frozen=True, eq=False)
class RecognizedCheckpoint:
    """The weights of a network, and which network that is.

    Attributes:
        path: the file.
        state: its tensors, by our names.
        spec: of a file of ours; None for others.
        layout: how a published file names its tensors; None for ours.
        options: of a published file: those in which the network differs from the layout's variant.
        labels: the classes.
        published: the published model whose weights they are; None if it is none of them.
    """

    path: Path
    state: Mapping[str, StoredTensor]
    spec: ModelSpec | None
    layout: Layout | None
    options: Mapping[str, Any]
    labels: LabelSet
    published: PublishedModel | None = None

    @property
    def origin(self) -> dict[str, Any]:
        """The fields of `ModelSpec` that say where the weights of a published file come from, and their terms."""
        assert self.layout is not None, "a file of ours has them in its specification"
        about = {"source": self.layout.source}
        if self.published is None:
            return about
        return {**about, "license": self.published.terms, "trained_on": self.published.trained_on}

    @property
    def where(self) -> str:
        """The file, and as what it was read, for messages."""
        if self.layout is None:
            return str(self.path)
        return f"{self.path} (read as {self.layout.architecture} of {self.layout.source})"


def recognize_checkpoint(
    source: str | os.PathLike[str],
    *,
    labels: LabelsLike | None = None,
    sha256: str | None = None,
    ema: bool | None = None,
    progress: Counter | None = None,
    note: Note | None = None,
    published: PublishedModel | None = None,
) -> RecognizedCheckpoint:
    """Finds the weights of a network in a checkpoint, and which network that is.

    Other arguments and errors are those of `rapidseg.importing.load_checkpoint`.

    Args:
        published: the model whose weights `source` is. None: the one that `source` names.
    """
    note = note or log.info
    published = published or find_published(os.fspath(source))
    path = find_checkpoint(source, sha256=sha256, progress=progress, note=note)
    checkpoint = read_checkpoint(path)
    if ENCODER_KEY in checkpoint.metadata:
        raise ModelFileError(
            explain_encoder(path, EncoderSpec.from_json(checkpoint.metadata[ENCODER_KEY], where=str(path)))
        )
    if SPEC_KEY in checkpoint.metadata:
        own = _recognize_own(checkpoint, labels, ema)
        if own.spec is not None and own.spec.license is not None:
            note(license_note(str(path), own.spec.license))
        return own
    candidates = find_weights(checkpoint.content, _is_known, path=path)
    if not candidates:
        raise ModelFileError(f"{path} holds no dictionary of tensors; {_advise(checkpoint)}")
    known = [weights for weights in candidates if find_layout(weights.state) is not None]
    if not known:
        largest = max((weights.state for weights in candidates), key=len)
        raise ModelFileError(f"{path}: {_explain_unknown(largest, checkpoint)}")
    state = choose_weights(known, ema, path=path, note=note)
    layout = find_layout(state)
    assert layout is not None, "the names that identify the layout are in the state"
    state = set_aside(state, known, functools.partial(_has_rule, layout), note=note)
    renamed = with_counters(layout.renamed(state))
    counts = renamed[layout.classifier].shape[:1] if layout.classifier in renamed else ()
    chosen = labels_for(counts[0] if counts else 0, labels, checkpoint.content, path=path, note=note)
    check_values(state, path)
    note_skipped(checkpoint, note)
    if published is not None and published.terms is not None:
        note(license_note(published.name, published.terms))
    return RecognizedCheckpoint(path, renamed, None, layout, layout.options(state), chosen, published)


def _recognize_own(checkpoint: Checkpoint, labels: LabelsLike | None, ema: bool | None) -> RecognizedCheckpoint:
    path = checkpoint.path
    if labels is not None or ema is not None:
        extra = "labels" if labels is not None else "ema"
        raise ConfigError(f"{path} has its own labels and options and a single set of weights; remove {extra}")
    spec = ModelSpec.from_json(checkpoint.metadata[SPEC_KEY], where=str(path))
    if spec.checksum is not None and checksum(checkpoint.content) != spec.checksum:
        raise ModelFileError(f"{path}: the weights do not match their checksum; the file is damaged, copy it again")
    return RecognizedCheckpoint(path, checkpoint.content, spec, None, {}, spec.labels)


def find_checkpoint(
    source: str | os.PathLike[str],
    *,
    sha256: str | None = None,
    progress: Counter | None = None,
    note: Note | None = None,
    offline: bool = False,
) -> Path:
    """Returns the local file of a checkpoint, downloading it where needed.

    Arguments are those of `load_checkpoint`, and `offline` as for `fetch`.

    Raises:
        ModelFileError: no published model has the name; or the file is not on disk, and downloads are off.
        InputError: the URL is not valid.
        RapidSegError: the file cannot be downloaded, or is not the expected one.
    """
    return locate(resolve_name(os.fspath(source)), sha256=sha256, progress=progress, note=note, offline=offline)


def find_published(source: str) -> PublishedModel | None:
    """Returns the published model that a name or the URL of its weights stands for; a file comes before a name."""
    if is_url(source):
        urls = {file.url: model for model in published_models().values() for file in model.weights}
        return urls.get(source)
    return None if Path(source).exists() else published_models().get(source)


def license_note(name: str, license: str) -> str:
    """Returns the sentence that states the license of a model's weights.

    Args:
        name: of the model, or its file.
        license: `ModelSpec.license`; that of a published model begins with what it was trained on.
    """
    return f"{name} was {license}" if license.startswith("trained on ") else f"license of {name}: {license}"


def resolve_name(source: str) -> str:
    """Returns the URL of the weights for the name of a published model, and everything else as it is, also `hf://`."""
    if is_url(source) or not re.fullmatch(r"[\w-]+", source) or Path(source).exists():
        return source
    models = published_models()
    if source not in models:
        raise ModelFileError(f"{source} is neither a file nor the name of a model{model_hint(source)}")
    return models[source].url


def find_layout(names: Collection[str]) -> Layout | None:
    """Returns the layout of tensor names without prefixes, or None if no layout has such names."""
    return next((layout for layout in LAYOUTS if all(marker in names for marker in layout.markers)), None)


def _has_rule(layout: Layout, name: str) -> bool:
    return layout.rename(name) is not None or any(re.fullmatch(pattern, name) for pattern in layout.unused)


def _is_known(names: Collection[str]) -> bool:
    return find_layout(names) is not None or backbone_kind(names) is not None


def _explain_unknown(state: Mapping[str, StoredTensor], checkpoint: Checkpoint) -> str:
    """Explains why no layout knows these tensors, as precisely as their names allow."""
    kind = backbone_kind(state)
    if kind is not None:
        return (
            f"is only a backbone ({kind}), not a segmentation network; start a training run from it with the recipe's "
            "key model.backbone_weights, or rapidseg.importing.load_backbone"
        )
    content = checkpoint.content
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
    misfits = _misfits(nearest, state)
    opaque = f"; not read, since it would run code: {checkpoint.opaque[0]}" if checkpoint.opaque else ""
    return f"unknown tensor names. The nearest layout, {named}, knows {shares[nearest]:.0%} of them{misfits}{opaque}"


def _misfits(layout: Layout, state: Mapping[str, StoredTensor]) -> str:
    """Returns how tensors differ from those of a layout's network, after a semicolon; empty if that is not known."""
    renamed = with_counters(layout.renamed(state))
    counts = renamed[layout.classifier].shape[:1] if layout.classifier in renamed else ()
    classes = max((2, *counts))
    options = {**variant_options()[layout.architecture][layout.variant], **layout.options(state)}
    template = find_template(layout.architecture, options)
    if template is None:
        return ""
    return f"; {template.misfits(renamed, classes, options)}"


def _advise(checkpoint: Checkpoint) -> str:
    """Says what to pass instead of a file without tensors."""
    advice = explain_numpy_pickle(checkpoint.opaque) or explain_special_tensor(checkpoint.opaque)
    if advice is not None:
        return advice
    if checkpoint.opaque:
        return (
            f"it has {checkpoint.opaque[0]}, which is code, not a tensor; rapidseg never runs code from a file. If you "
            "trust it, load it where it was made and save only the weights: torch.save(model.state_dict(), ...)"
        )
    return "pass a checkpoint with a state_dict"


def _list_layouts() -> str:
    architectures: dict[str, dict[str, None]] = {}
    for layout in LAYOUTS:
        architectures.setdefault(layout.source, {})[layout.architecture] = None
    return "; ".join(f"{', '.join(names)} of {source}" for source, names in architectures.items())

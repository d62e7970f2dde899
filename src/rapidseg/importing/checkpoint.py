"""Published checkpoints to models."""

from __future__ import annotations

import os
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rapidseg.core.errors import ConfigError, ModelFileError
from rapidseg.core.labels import CITYSCAPES, LabelSet
from rapidseg.importing.layouts import LAYOUTS, Layout
from rapidseg.models import SegmentationModel, create_model, load_model, load_state

_WRAPPERS = ("state_dict", "model_state_dict", "model", "net")  # keys under which training scripts keep the tensors
_PREFIXES = ("module.", "_orig_mod.", "model.")  # what DataParallel, torch.compile and Lightning put before names


def load_checkpoint(path: str | os.PathLike[str], *, labels: LabelSet | None = None) -> SegmentationModel:
    """Reads a checkpoint of RapidSeg or of a published implementation; the source is told by its tensor names.

    Only tensors are read: no code in the file is run.

    Args:
        path: a `.safetensors` file of RapidSeg, or a PyTorch checkpoint of OpenMMLab, Tramac/Fast-SCNN-pytorch or
            leftthomas/FastSCNN, plain or wrapped in a dictionary with `state_dict`.
        labels: the classes, for PyTorch checkpoints. Without them a model of 19 classes has those of Cityscapes, for
            which such checkpoints are published, and another number is called `class_0` and so on.

    Returns:
        The model in evaluation mode on the CPU, with every tensor from the file.

    Raises:
        ModelFileError: the file is missing, cut short or of an unknown layout, needs code to be read, or its tensors do
            not fit.
        ConfigError: `labels` has another number of classes than the file, or is given for a RapidSeg file.
    """
    path = Path(path)
    if path.suffix == ".safetensors":
        if labels is not None:
            raise ConfigError(f"{path}: carries its own labels; leave labels out")
        return load_model(path)
    state = _read_state(path)
    layout = _find_layout(state, path)
    renamed: dict[str, Tensor] = {}
    for name, tensor in state.items():
        renamed[layout.rename(name) or name] = tensor
    num_classes = renamed[layout.classifier].shape[0] if layout.classifier in renamed else 0
    model = create_model(
        layout.architecture,
        labels=_labels_for(num_classes, labels, path),
        variant=layout.variant,
        **layout.options(set(state)),
    )
    counters = [name for name in model.state_dict() if name.endswith("num_batches_tracked")]
    for name in counters:  # older PyTorch did not store them, and prediction does not use them
        renamed.setdefault(name, torch.zeros((), dtype=torch.long))
    load_state(model, renamed, where=f"{path} (read as {layout.source})")
    model.spec = model.spec.model_copy(update={"source": layout.source})
    return model.eval()


def _read_state(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise ModelFileError(f"{path}: no such file; give a checkpoint (.pth, .pt or .safetensors)")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = str(error).splitlines()[0]
        raise ModelFileError(
            f"{path}: cannot be read as tensors alone ({reason}); it is damaged, or it would run code of its own, "
            "which rapidseg never does. Get it again, or save its state_dict with torch.save where it was made"
        ) from error
    except (RuntimeError, EOFError, OSError, zipfile.BadZipFile, ValueError, KeyError, AttributeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ModelFileError(
            f"{path}: not a readable PyTorch checkpoint ({reason}); is it complete? get it again"
        ) from error
    state = _find_tensors(content)
    if not state:
        raise ModelFileError(f"{path}: holds no dictionary of tensors; give a checkpoint with a state_dict")
    return _strip_prefixes(state)


def _find_tensors(content: Any) -> dict[str, Tensor]:
    """Returns the name-to-tensor dictionary in a checkpoint, looking into the usual wrappers."""
    if not isinstance(content, Mapping):
        return {}
    for key in _WRAPPERS:
        if isinstance(content.get(key), Mapping):
            return _find_tensors(content[key])
    return {str(name): value for name, value in content.items() if isinstance(value, Tensor)}


def _strip_prefixes(state: dict[str, Tensor]) -> dict[str, Tensor]:
    while True:
        prefix = next((p for p in _PREFIXES if all(name.startswith(p) for name in state)), None)
        if prefix is None:
            return state
        state = {name.removeprefix(prefix): tensor for name, tensor in state.items()}


def _find_layout(state: Mapping[str, Tensor], path: Path) -> Layout:
    for layout in LAYOUTS:
        if all(marker in state for marker in layout.markers):
            return layout

    def known_share(layout: Layout) -> float:
        return sum(layout.rename(name) is not None for name in state) / len(state)

    nearest = max(LAYOUTS, key=known_share)
    sources = ", ".join(f"{layout.architecture} of {layout.source}" for layout in LAYOUTS)
    names = ", ".join(list(state)[:3])
    raise ModelFileError(
        f"{path}: unknown tensor names ({names}, ...); known layouts: {sources}. The nearest, {nearest.source}, "
        f"knows {known_share(nearest):.0%} of the names"
    )


def _labels_for(num_classes: int, labels: LabelSet | None, path: Path) -> LabelSet:
    if num_classes < 2:
        raise ModelFileError(
            f"{path}: the classifier's weights are missing or have fewer than two classes; get it again"
        )
    if labels is None:
        return CITYSCAPES if num_classes == CITYSCAPES.num_classes else LabelSet.generic(num_classes)
    if labels.num_classes != num_classes:
        raise ConfigError(f"{path}: has {num_classes} classes, but labels names {labels.num_classes}; give as many")
    return labels

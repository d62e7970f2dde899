"""Weights on disk: safetensors, with the `ModelSpec` inside. Loading them runs no code from the file."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from rapidseg.core.errors import ModelFileError
from rapidseg.core.files import atomic_path
from rapidseg.core.spec import SPEC_KEY, ModelSpec
from rapidseg.models.base import SegmentationModel
from rapidseg.models.registry import model_from_spec

_LISTED = 12  # tensors of a kind that an error names


def save_model(model: SegmentationModel, path: str | os.PathLike[str]) -> ModelSpec:
    """Writes a model's weights and specification to a safetensors file, whole or not at all.

    Returns:
        The specification as written, with the checksum of the weights.
    """
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    spec = model.spec.model_copy(update={"checksum": weights_checksum(state)})
    with atomic_path(path) as temporary:
        save_file(state, temporary, metadata={SPEC_KEY: spec.to_json()})
    return spec


def load_model(path: str | os.PathLike[str]) -> SegmentationModel:
    """Reads a model that `save_model` wrote, in evaluation mode on the CPU.

    Raises:
        ModelFileError: the file is missing, cut short, no safetensors file, has no specification, or its tensors
            do not fit the architecture or the checksum.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelFileError(f"{path}: no such file; give a .safetensors file that `rapidseg train` or `import` wrote")
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(SPEC_KEY)
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, it is no mapping
    except (SafetensorError, OSError) as error:
        raise ModelFileError(f"{path}: not a readable safetensors file ({error}); copy or train it again") from error
    if text is None:
        raise ModelFileError(f"{path}: has no rapidseg model specification; bring it in with `rapidseg import`")
    model = model_from_spec(ModelSpec.from_json(text, where=str(path)))
    load_state(model, state, where=str(path))
    if model.spec.checksum is not None and weights_checksum(state) != model.spec.checksum:
        raise ModelFileError(f"{path}: the weights do not match their checksum; the file is damaged, copy it again")
    return model.eval()


def load_state(model: SegmentationModel, state: Mapping[str, Tensor], *, where: str) -> None:
    """Loads tensors into a model, all of them or none; other floating-point types become the model's own.

    Raises:
        ModelFileError: tensors are missing, unexpected, misshapen or of another kind; a dozen of each are listed.
    """
    problems = list_misfits(model.state_dict(), state)
    if problems:
        raise ModelFileError(f"{where}: the tensors do not fit {model.spec.architecture}; {problems}")
    model.load_state_dict(dict(state))


def list_misfits(wanted: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> str:
    """Returns what keeps a state from being taken for the one that is wanted; an empty text if nothing does.

    A dozen tensors at most are named of each kind: missing, unexpected, misshapen, and of another kind of number.
    """
    both = [(name, state[name], tensor) for name, tensor in wanted.items() if name in state]
    problems = {
        "missing": [name for name in wanted if name not in state],
        "unexpected": [name for name in state if name not in wanted],
        "misshapen": [
            f"{name} {tuple(given.shape)} instead of {tuple(tensor.shape)}"
            for name, given, tensor in both
            if given.shape != tensor.shape
        ],
        "of another type": [  # of half precision is fine; quantized to integers, or complex, is not
            f"{name} {given.dtype} instead of {tensor.dtype}"
            for name, given, tensor in both
            if given.is_floating_point() != tensor.is_floating_point() or given.is_complex()
        ],
    }
    lines = []
    for kind, names in problems.items():
        if names:
            more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
            lines.append(f"{len(names)} {kind}: {', '.join(names[:_LISTED])}{more}")
    return "; ".join(lines)


def weights_checksum(state: Mapping[str, Tensor]) -> str:
    """Returns the SHA-256 over names, types, shapes and values of all tensors, in the order of their names."""
    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        digest.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()

"""Weights on disk: safetensors files with the specification inside. Loading runs no code from the file."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from rapidseg.checkpoints import StoredTensor, list_misfits, read_checkpoint
from rapidseg.core.encoder_spec import ENCODER_KEY, EncoderSpec, explain_encoder
from rapidseg.core.errors import ModelFileError
from rapidseg.core.files import atomic_path
from rapidseg.core.spec import SPEC_KEY, AnySpec, ModelSpec
from rapidseg.models.registry import model_from_spec
from rapidseg.models.segmentation_model import SegmentationModel


def save_model(model: SegmentationModel, path: str | os.PathLike[str]) -> ModelSpec:
    """Writes a model's weights and specification to a safetensors file, atomically.

    Returns:
        The specification as written, with the checksum of the weights.
    """
    return write_weights(model.state_dict(), model.spec, SPEC_KEY, path)


def load_model(path: str | os.PathLike[str]) -> SegmentationModel:
    """Reads a model that `save_model` wrote, in evaluation mode on the CPU.

    Raises:
        ModelFileError: the file is missing, truncated or not a safetensors file, has no specification, or its tensors
            do not match the architecture or the checksum.
    """
    path = Path(path)
    metadata, state = read_weights(path)
    if ENCODER_KEY in metadata:
        raise ModelFileError(explain_encoder(path, EncoderSpec.from_json(metadata[ENCODER_KEY], where=str(path))))
    if SPEC_KEY not in metadata:
        raise ModelFileError(f"{path} has no rapidseg model specification; convert it with `rapidseg import`")
    model = model_from_spec(ModelSpec.from_json(metadata[SPEC_KEY], where=str(path)))
    load_state(model, state, where=str(path))
    verify_checksum(state, model.spec.checksum, where=str(path))
    return model.eval()


def write_weights(state: Mapping[str, Tensor], spec: AnySpec, key: str, path: str | os.PathLike[str]) -> AnySpec:
    """Writes tensors and a specification to a safetensors file, atomically.

    Args:
        state: the tensors, by name.
        spec: of the weights.
        key: of the specification in the file's metadata.
        path: the file to write.

    Returns:
        The specification as written, with the checksum of the weights.
    """
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    spec = spec.model_copy(update={"checksum": weights_checksum(state)})
    with atomic_path(path) as temporary:
        save_file(state, temporary, metadata={key: spec.to_json()})
    return spec


def read_weights(path: Path) -> tuple[Mapping[str, str], dict[str, Tensor]]:
    """Returns the metadata and the tensors of a safetensors file.

    Raises:
        ModelFileError: the file is missing, truncated or not a safetensors file.
    """
    if not path.is_file():
        raise ModelFileError(
            f"{path}: no such file; pass a .safetensors file that `rapidseg train` or `rapidseg import` wrote"
        )
    checkpoint = read_checkpoint(path)
    if not isinstance(checkpoint.content, dict):
        raise ModelFileError(f"{path} has no rapidseg model specification; convert it with `rapidseg import`")
    return checkpoint.metadata, to_torch(checkpoint.content)


def to_torch(state: Mapping[str, StoredTensor]) -> dict[str, Tensor]:
    """Returns the tensors of a file, in their own types, as tensors of PyTorch."""
    tensors = {}
    for name, stored in state.items():
        values = np.array(stored.raw())
        if stored.dtype == "bfloat16":
            tensors[name] = torch.from_numpy(values.view(np.int16)).view(torch.bfloat16)
        else:
            tensors[name] = torch.from_numpy(values.astype(values.dtype.newbyteorder("="), copy=False))
    return tensors


def verify_checksum(state: Mapping[str, Tensor], checksum: str | None, *, where: str) -> None:
    """Compares tensors with the checksum in their file's specification, if it has one.

    Raises:
        ModelFileError: they differ.
    """
    if checksum is not None and weights_checksum(state) != checksum:
        raise ModelFileError(f"{where}: the weights do not match their checksum; the file is damaged, copy it again")


def load_state(model: SegmentationModel, state: Mapping[str, Tensor], *, where: str) -> None:
    """Loads tensors into a model, all of them or none; other floating-point types become the model's own.

    Raises:
        ModelFileError: tensors are missing, unexpected, or have another shape or kind of dtype; up to 12 of each are
            listed.
    """
    problems = list_misfits(model.state_dict(), state)
    if problems:
        raise ModelFileError(f"{where}: the tensors do not fit {model.spec.architecture}; {problems}")
    model.load_state_dict(dict(state))


def weights_checksum(state: Mapping[str, Tensor]) -> str:
    """Returns the SHA-256 over names, types, shapes and values of all tensors, in the order of their names."""
    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        digest.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()

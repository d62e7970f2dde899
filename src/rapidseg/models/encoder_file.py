"""Pretrained encoders on disk: safetensors files with the `EncoderSpec` inside. Loading runs no code from the file.

The tensors have the names that they have in a segmentation network: those of `FastScnn` for Fast-SCNN, and those of
`ResNet` (a network's `backbone`, without that prefix) for ResNets. `fc.*` is the linear layer of pretraining.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from rapidseg.checkpoints import read_checkpoint
from rapidseg.core.encoder_spec import ENCODER_KEY, EncoderSpec
from rapidseg.core.errors import ModelFileError
from rapidseg.models.weights_file import read_weights, verify_checksum, write_weights

CLASSIFIER = "fc."  # beginning of the names of the linear layer


def save_encoder(state: Mapping[str, Tensor], spec: EncoderSpec, path: str | os.PathLike[str]) -> EncoderSpec:
    """Writes an encoder's weights and specification to a safetensors file, atomically.

    Args:
        state: the tensors, by the names above.
        spec: of the encoder; the checksum is filled in.
        path: the file to write.

    Returns:
        The specification as written, with the checksum of the weights.
    """
    return write_weights(state, spec, ENCODER_KEY, path)


def read_encoder(path: str | os.PathLike[str]) -> tuple[EncoderSpec, dict[str, Tensor]]:
    """Reads an encoder that `save_encoder` wrote; the tensors are on the CPU.

    Raises:
        ModelFileError: the file is missing, truncated or not a safetensors file, has no encoder's specification, or its
            tensors do not match the checksum.
    """
    path = Path(path)
    metadata, state = read_weights(path)
    if ENCODER_KEY not in metadata:
        raise ModelFileError(f"{path} is not an encoder; pass a .safetensors file that `rapidseg pretrain` wrote")
    spec = EncoderSpec.from_json(metadata[ENCODER_KEY], where=str(path))
    verify_checksum(state, spec.checksum, where=str(path))
    return spec, state


def is_encoder_file(path: str | os.PathLike[str]) -> bool:
    """Tells whether a file is an encoder, by its content; False for files that are missing or cannot be read."""
    try:
        return ENCODER_KEY in read_checkpoint(Path(path)).metadata
    except ModelFileError:
        return False

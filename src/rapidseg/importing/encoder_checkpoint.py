"""Reads encoders: our own, and the ResNet-18 of the published instance discrimination code.

That code keeps the layers of a ResNet-18 in a list, so its tensors are called `extractor.0.weight` (first convolution),
`extractor.1.*` (normalization), `extractor.3.*` to `extractor.6.*` (layer1 to layer4) and `fc.*`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path

from torch import Tensor

from rapidseg.checkpoints import StoredTensor, read_checkpoint, with_counters
from rapidseg.core.encoder_spec import EncoderSpec
from rapidseg.core.errors import ModelFileError
from rapidseg.core.spec import SPEC_KEY
from rapidseg.importing.checkpoint_weights import check_values, choose_weights, find_weights, note_skipped
from rapidseg.importing.download import Note, log
from rapidseg.models.encoder_file import is_encoder_file, read_encoder
from rapidseg.models.weights_file import to_torch

PUBLISHED_SOURCE = "leftthomas/NPID"
_MARKERS = ("extractor.0.weight", "extractor.6.1.conv2.weight", "fc.weight", "fc.bias")
_STEM = {"0": "stem.0.conv", "1": "stem.0.norm"}

# Of CIFAR-10, as that code has them: shares of 255.
_MEAN = (0.4914 * 255, 0.4822 * 255, 0.4465 * 255)
_STD = (0.2023 * 255, 0.1994 * 255, 0.2010 * 255)


def is_published_encoder(names: Collection[str]) -> bool:
    """Returns whether tensor names, without prefixes, are those of the published instance discrimination code."""
    return all(marker in names for marker in _MARKERS)


def read_encoder_checkpoint(path: Path) -> tuple[EncoderSpec, dict[str, Tensor]]:
    """Reads an encoder, recognized by its content.

    Returns:
        Its specification, and its tensors by our names.

    Raises:
        ModelFileError: the file is missing, damaged, cannot be read without running code, or holds something else.
    """
    encoder = find_encoder(path)
    if encoder is None:
        raise ModelFileError(
            f"{path} is not an encoder; pass a file that `rapidseg pretrain` wrote, or a ResNet-18 of the published "
            "instance discrimination code (tensors extractor.0.weight to fc.bias)"
        )
    return encoder


def find_encoder(path: Path, *, note: Note | None = None) -> tuple[EncoderSpec, dict[str, Tensor]] | None:
    """Reads an encoder as `read_encoder_checkpoint` does; returns None if the file holds something else.

    Args:
        path: the file.
        note: called with each decision, in a sentence. None: decisions are logged.

    Raises:
        ModelFileError: the file is missing, damaged, or cannot be read without running code.
    """
    if is_encoder_file(path):
        return read_encoder(path)
    checkpoint = read_checkpoint(path)
    if SPEC_KEY in checkpoint.metadata:
        return None
    candidates = find_weights(checkpoint.content, is_published_encoder, path=path)
    known = [weights for weights in candidates if is_published_encoder(weights.state)]
    if not known:
        return None
    note = note or log.info
    state = _renamed(choose_weights(known, None, path=path, note=note))
    check_values(state, path)
    note_skipped(checkpoint, note)
    spec = EncoderSpec(
        network="resnet18",
        options={"stem": "cifar"},
        feature_dim=state["fc.weight"].shape[0],
        mean=_MEAN,
        std=_STD,
        image_size=(32, 32),
        method="instance-discrimination",
        source=PUBLISHED_SOURCE,
    )
    return spec, to_torch(state)


def _renamed(state: Mapping[str, StoredTensor]) -> dict[str, StoredTensor]:
    renamed = {}
    for name, tensor in state.items():
        match = re.fullmatch(r"extractor\.(\d+)\.(.+)", name)
        if match is None:
            renamed[name] = tensor
        elif match[1] in _STEM:
            renamed[f"{_STEM[match[1]]}.{match[2]}"] = tensor
        else:
            renamed[f"layer{int(match[1]) - 2}.{match[2]}"] = tensor
    return with_counters(renamed)

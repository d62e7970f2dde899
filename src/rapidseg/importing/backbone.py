"""Loads weights of a ResNet into the backbone of a segmentation network, from which training then starts.

Three naming schemes of ImageNet weights are supported. They agree on `layer1` to `layer4`; the stem is

- torchvision's: `conv1`, `bn1`; one 7x7 convolution (`stem: plain`),
- OpenMMLab's ResNetV1c: `stem.0` to `stem.7`; three 3x3 convolutions of 32, 32 and 64 channels (`stem: deep`),
- Hang Zhang's, which the authors of FastFCN use: `conv1.0` to `conv1.6`, `bn1`; of 64, 64 and 128 channels.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from torch import nn

from rapidseg.checkpoints import StoredTensor, list_misfits, read_checkpoint, with_counters
from rapidseg.core.errors import ConfigError, ModelFileError
from rapidseg.core.progress import Counter
from rapidseg.importing.backbone_names import backbone_kind
from rapidseg.importing.checkpoint_weights import check_values, choose_weights, find_weights, note_skipped, set_aside
from rapidseg.importing.download import Note, locate, log
from rapidseg.importing.encoder import initialize_from_encoder
from rapidseg.importing.encoder_checkpoint import find_encoder
from rapidseg.importing.weights_use import WeightsUse
from rapidseg.models import SegmentationModel
from rapidseg.models.resnet import BASIC, BLOCKS
from rapidseg.models.weights_file import to_torch

_STEM_WIDTHS = (32, 64)  # of published weights
_CLASSIFIER = ("fc.weight", "fc.bias")  # of ImageNet's 1000 classes; a backbone has none

_RULES = (
    (r"conv1\.weight", "stem.0.conv.weight"),
    (r"bn1\.(\w+)", r"stem.{last}.norm.\1"),
    *((rf"(?:conv1|stem)\.{3 * i}\.weight", f"stem.{i}.conv.weight") for i in range(3)),
    *((rf"(?:conv1|stem)\.{3 * i + 1}\.(\w+)", rf"stem.{i}.norm.\1") for i in range(3)),
)


def load_backbone(
    model: SegmentationModel,
    source: str | os.PathLike[str],
    *,
    sha256: str | None = None,
    progress: Counter | None = None,
    note: Note | None = None,
) -> WeightsUse:
    """Fills `model.backbone` with ImageNet weights or a pretrained encoder; the rest of the model stays as it is.

    Args:
        model: a segmentation network with a ResNet as its backbone.
        source: a file or an `http(s)` URL: weights of a ResNet-18, -34, -50 or -101 with the tensor names of
            torchvision, OpenMMLab (ResNetV1c) or Hang Zhang, or an encoder that `rapidseg pretrain` wrote. The
            classifier `fc` is skipped; every other tensor must be present and fit, except for an encoder's stem.
        sha256: as for `load_checkpoint`.
        progress: as for `load_checkpoint`.
        note: as for `load_checkpoint`.

    Returns:
        Which tensors of the network were filled.

    Raises:
        ConfigError: the network has no such backbone.
        ModelFileError: the file cannot be read, is not a backbone, or does not fit the model's.
        RapidSegError: the file cannot be downloaded, or is not the expected one.
    """
    note = note or log.info
    backbone = getattr(model, "backbone", None)
    if not isinstance(backbone, nn.Module):
        raise ConfigError(
            f"{model.spec.architecture} has no backbone to load weights into; remove backbone_weights, or start from "
            "weights of the whole network with model.weights"
        )
    path = locate(os.fspath(source), sha256=sha256, progress=progress, note=note)
    encoder = find_encoder(path, note=note)
    if encoder is not None:
        return initialize_from_encoder(model, *encoder, source=os.fspath(source), note=note)
    checkpoint = read_checkpoint(path)
    candidates = find_weights(checkpoint.content, lambda names: backbone_kind(names) is not None, path=path)
    known = [weights for weights in candidates if backbone_kind(weights.state) is not None]
    if not known:
        names = ", ".join(list(candidates[0].state)[:3]) if candidates else "none"
        raise ModelFileError(
            f"{path} is not a ResNet backbone (its tensors: {names}); pass ImageNet weights of ResNet-18, -34, -50 "
            "or -101 as torchvision, OpenMMLab or Hang Zhang publish them"
        )
    state = choose_weights(known, None, path=path, note=note)
    expected = backbone.state_dict()
    # Of another ResNet the names differ, too, and are then listed as unexpected.
    state = set_aside(state, known, lambda name: name in _CLASSIFIER or _is_of_a_resnet(name), note=note)
    renamed = with_counters(_rename(state))  # training starts counting again
    problems = list_misfits(expected, renamed)
    if problems:
        raise ModelFileError(f"{path} does not fit the backbone of the model. {_advice(renamed, model)}{problems}")
    check_values(renamed, path)
    note_skipped(checkpoint, note)
    backbone.load_state_dict(to_torch(renamed))
    used = [f"backbone.{name}" for name in expected]
    return WeightsUse(
        source=os.fspath(source),
        used=tuple(used),
        kept_random=tuple(name for name in model.state_dict() if name not in set(used)),
        unused={name: "ImageNet's classifier" for name in _CLASSIFIER if name in state},
    )


def _is_of_a_resnet(name: str) -> bool:
    return re.match(r"(?:layer\d|conv1|bn1|stem)\.", name) is not None


def _rename(state: Mapping[str, StoredTensor]) -> dict[str, StoredTensor]:
    last = 2 if "conv1.6.weight" in state else 0
    renamed = {}
    for name, tensor in state.items():
        if name in _CLASSIFIER:
            continue
        for pattern, replacement in _RULES:
            if re.fullmatch(pattern, name):
                name = re.sub(pattern, replacement.replace("{last}", str(last)), name)
                break
        renamed[name] = tensor
    return renamed


def _advice(state: Mapping[str, StoredTensor], model: SegmentationModel) -> str:
    """Returns the options that the model needs for these weights, if their shape is known."""
    width = state["stem.0.conv.weight"].shape[0] if "stem.0.conv.weight" in state else 0
    needed = {
        **_depth(state),
        "stem": "deep" if "stem.2.conv.weight" in state else "plain",
        **({"stem_width": width} if "stem.2.conv.weight" in state and width in _STEM_WIDTHS else {}),
    }
    differing = {key: value for key, value in needed.items() if model.spec.options.get(key, value) != value}
    if not differing:
        return ""
    return "These weights need the model options " + ", ".join(f"{k}: {v}" for k, v in differing.items()) + "; "


def _depth(state: Mapping[str, StoredTensor]) -> dict[str, str]:
    """Returns the option for the depth that the tensors have; empty if it is none of ours."""
    basic = "layer1.0.conv3.weight" not in state
    blocks = tuple(
        sum(re.fullmatch(rf"layer{i}\.\d+\.conv1\.weight", name) is not None for name in state) for i in range(1, 5)
    )
    depths = [depth for depth, ours in BLOCKS.items() if ours == blocks and (depth in BASIC) == basic]
    return {"backbone": depths[0]} if depths else {}

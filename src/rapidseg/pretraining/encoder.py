"""The network that pre-training produces: a trunk, average pooling, and for some methods a linear layer."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from pydantic import BaseModel
from torch import Tensor, nn

from rapidseg.checkpoints import list_misfits
from rapidseg.core.encoder_spec import EncoderNetwork, EncoderSpec
from rapidseg.core.errors import ModelFileError
from rapidseg.importing.encoder_checkpoint import read_encoder_checkpoint
from rapidseg.models import create_model
from rapidseg.models.encoder_file import save_encoder
from rapidseg.models.fast_scnn import FastScnn, FastScnnOptions
from rapidseg.models.initialization import initialize
from rapidseg.models.network_options import resolve_options
from rapidseg.models.resnet import ResNet, ResNetOptions


class Encoder(nn.Module):
    """From normalized images to one feature per image.

    The trunk's tensors have the names that they have in a segmentation network of this project, so such a network can
    start from them.

    Args:
        spec: network, its options, and the length of the feature.

    Attributes:
        spec: as given; replace it with `encoder.spec.model_copy(update=...)`.
        num_channels: C, of the trunk's last map.

    Raises:
        ConfigError: an option of the network is unknown, or its value is not allowed.
    """

    def __init__(self, spec: EncoderSpec) -> None:
        super().__init__()
        self.spec = spec
        self.trunk, self.num_channels = _make_trunk(spec)
        self.fc = None if spec.feature_dim is None else nn.Linear(self.num_channels, spec.feature_dim)

    def pooled(self, images: Tensor) -> Tensor:
        """Returns (N, C), the average of the trunk's last map, for (N, 3, H, W) normalized images."""
        features = self.trunk(images)
        last: Tensor = features if isinstance(features, Tensor) else features[-1]
        return last.mean(dim=(2, 3))

    def forward(self, images: Tensor) -> Tensor:
        """Returns float32 rows of unit length for (N, 3, H, W) normalized images.

        They are (N, D) from the linear layer, or the (N, C) averages where there is none.
        """
        features = self.pooled(images)
        if self.fc is not None:
            features = self.fc(features)
        return F.normalize(features.float(), dim=1)

    def tensors(self) -> dict[str, Tensor]:
        """Returns all tensors by their names in files."""
        return {name.removeprefix("trunk."): tensor for name, tensor in self.state_dict().items()}

    def load_tensors(self, state: Mapping[str, Tensor], *, where: str) -> None:
        """Fills all tensors from `tensors` of another encoder.

        Raises:
            ModelFileError: they do not fit.
        """
        problems = list_misfits(self.tensors(), state)
        if problems:
            raise ModelFileError(f"{where}: the tensors do not fit the encoder {self.spec.network}; {problems}")
        self.load_state_dict({name if name.startswith("fc.") else f"trunk.{name}": state[name] for name in state})

    def save(self, path: str | os.PathLike[str]) -> EncoderSpec:
        """Writes a safetensors file with the specification inside; returns the specification as written."""
        return save_encoder(self.tensors(), self.spec, path)


def load_encoder(path: str | os.PathLike[str]) -> Encoder:
    """Reads an encoder that `rapidseg pretrain` wrote, or a ResNet-18 of the published instance discrimination code.

    Returns:
        The encoder in evaluation mode on the CPU: (N, 3, H, W) images, normalized with `spec.mean` and `spec.std`, to
        (N, D) float32 rows of unit length.

    Raises:
        ModelFileError: the file is missing, damaged or something else. No code in it is run.
    """
    spec, state = read_encoder_checkpoint(Path(path))
    encoder = Encoder(spec)
    encoder.load_tensors(state, where=str(path))
    return encoder.eval()


def options_schema(network: EncoderNetwork) -> type[BaseModel]:
    """Returns the options that a network has as an encoder."""
    return FastScnnOptions if network == "fast-scnn" else ResNetOptions


class _FastScnnTrunk(nn.Module):
    """Fast-SCNN up to its global features, without fusion and classifier (arXiv 1902.04502, section 4.3)."""

    def __init__(self, network: FastScnn) -> None:
        super().__init__()
        self.learning_to_downsample = network.learning_to_downsample
        self.global_features = network.global_features
        self.pyramid_pooling = network.pyramid_pooling

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.pyramid_pooling(self.global_features(self.learning_to_downsample(images)))
        return features


def _make_trunk(spec: EncoderSpec) -> tuple[nn.Module, int]:
    if spec.network == "fast-scnn":
        network = create_model("fast-scnn", num_classes=2, **spec.options)
        assert isinstance(network, FastScnn)
        trunk: nn.Module = _FastScnnTrunk(network)
        with torch.no_grad():
            channels = trunk.eval()(torch.zeros(1, 3, 32, 32)).shape[1]
        return trunk.train(), channels
    options = resolve_options(ResNetOptions, spec.options, network=spec.network)
    resnet = ResNet(spec.network, **options.model_dump())
    initialize(resnet)
    return resnet, resnet.channels[-1]

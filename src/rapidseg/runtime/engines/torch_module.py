"""PyTorch: runs a model in memory, such as one in training or a checkpoint that was not exported."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from rapidseg.core.errors import InputError
from rapidseg.core.spec import ModelSpec
from rapidseg.runtime.engines.engine import Engine
from rapidseg.runtime.engines.process_check import check_not_forked, record_run
from rapidseg.runtime.engines.torch_onnx.backends import HostTensorBackend
from rapidseg.runtime.engines.torch_onnx.images import Normalizer, to_device
from rapidseg.system.cpu import limit_library_threads


class TorchModel(Protocol):
    """The part of `SegmentationModel` that this engine needs; prediction must not import the class itself."""

    @property
    def spec(self) -> ModelSpec: ...

    def __call__(self, images: Tensor) -> Tensor:
        """Takes normalized images, (N, 3, H, W), and returns their (N, K, h, w) logits."""
        ...


class TorchEngine(Engine):
    """Runs a PyTorch model on its own device.

    Each run puts the model into evaluation mode, and afterwards every module back into its own mode, so a model can be
    scored in the middle of its training.
    """

    def __init__(self, model: TorchModel) -> None:
        """Wraps a model.

        Args:
            model: a `SegmentationModel` in float32, which must stay on its device while this engine is in use.
        """
        if not isinstance(model, nn.Module):
            raise InputError(
                f"the PyTorch engine runs a SegmentationModel, not {type(model).__name__}; make one with "
                "rapidseg.models.create_model or SegmentationModel.from_pretrained"
            )
        check_not_forked("PyTorch")
        device = next(model.parameters()).device
        super().__init__(
            name="torch",
            precision="float32",
            device=str(device),
            backend=HostTensorBackend(),
            choice=f"a PyTorch model in memory, on {device}",
        )
        self._network: nn.Module = model
        self._device = device
        self._normalize = Normalizer(model.spec.mean, model.spec.std, device)
        limit_library_threads()

    def compile(self, shape: tuple[int, ...]) -> None:
        """Does nothing: PyTorch runs every shape without compiling."""

    def upload(self, images: np.ndarray) -> Tensor:
        self.check_process()
        record_run("PyTorch")
        count, height, width, channels = images.shape
        with torch.inference_mode():
            planes = torch.empty(
                (count, channels, height, width), device=self._device, memory_format=torch.channels_last
            )
            return self._normalize(to_device(images, self._device), planes)

    def infer(self, uploaded: Tensor) -> np.ndarray:
        with self._turn, torch.inference_mode(), _evaluation_mode(self._network):
            logits: np.ndarray = self._network(uploaded).float().cpu().contiguous().numpy()
        return logits


@contextlib.contextmanager
def _evaluation_mode(network: nn.Module) -> Iterator[None]:
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training

"""Backends for PyTorch tensors: on an NVIDIA GPU, and on the CPU."""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rapidseg.core.errors import EngineError
from rapidseg.imaging import resize_image
from rapidseg.runtime.engines.backend import Backend, HostBackend
from rapidseg.runtime.engines.torch_onnx.class_maps import class_maps_on_device, why_not_triton
from rapidseg.runtime.engines.torch_onnx.cuda_graph import on_device
from rapidseg.runtime.engines.torch_onnx.images import resize_on_device, to_host
from rapidseg.runtime.timing import Timings


class CudaBackend(Backend):
    """Tensors on an NVIDIA GPU. Work is queued on the current stream of PyTorch; only `to_input_type` waits for it."""

    def __init__(self, device: torch.device) -> None:
        """Takes a device of type "cuda", with its index."""
        self._device = device
        with on_device(device):
            self._obstacle = why_not_triton(device)

    @property
    def has_triton(self) -> bool:
        """Whether Triton's kernels run on the device."""
        return self._obstacle is None

    @property
    def class_map_algorithm(self) -> str:
        """How class maps are computed, in words."""
        return "with Triton" if self.has_triton else f"with plain PyTorch, not Triton: {self._obstacle}"

    def accepts_tensor(self, image: object) -> bool:
        return isinstance(image, Tensor)

    def resize(self, image: Any, size_hw: tuple[int, int]) -> Any:
        return _resize(image, size_hw, self._device)

    def class_maps(
        self, logits: Tensor, size_hw: tuple[int, int], *, align_corners: bool, confidence: bool = False
    ) -> tuple[Sequence[Any], Sequence[Any] | None]:
        with explain_out_of_memory(self._device, "class maps of", size_hw), on_device(self._device):
            class_maps, confidences = class_maps_on_device(
                logits, size_hw, align_corners=align_corners, confidence=confidence, with_triton=self.has_triton
            )
        return class_maps.unbind(), None if confidences is None else confidences.unbind()

    def to_input_type(self, result: Tensor, image: object) -> Any:
        return result if isinstance(image, Tensor) else to_host(result)

    def record_event(self) -> torch.cuda.Event:
        with torch.cuda.device(self._device):
            event = torch.cuda.Event(enable_timing=True)
            event.record()
        return event

    def timings_ms(self, stages: Sequence[str], events: Sequence[torch.cuda.Event]) -> Mapping[str, float]:
        return Timings(stages, functools.partial(_elapsed_ms, events))


class HostTensorBackend(HostBackend):
    """Tensors on the CPU, beside arrays."""

    def accepts_tensor(self, image: object) -> bool:
        return isinstance(image, Tensor)

    def resize(self, image: Any, size_hw: tuple[int, int]) -> Any:
        return _resize(image, size_hw, torch.device("cpu"))

    def class_maps(
        self, logits: Any, size_hw: tuple[int, int], *, align_corners: bool, confidence: bool = False
    ) -> tuple[Sequence[Any], Sequence[Any] | None]:
        arrays = logits if isinstance(logits, np.ndarray) else logits.float().contiguous().numpy()
        return super().class_maps(arrays, size_hw, align_corners=align_corners, confidence=confidence)

    def to_input_type(self, result: np.ndarray, image: object) -> Any:
        return torch.from_numpy(result) if isinstance(image, Tensor) else result


def create_backend(device: torch.device) -> CudaBackend | HostTensorBackend:
    """Returns the backend of a device."""
    return CudaBackend(device) if device.type == "cuda" else HostTensorBackend()


@contextlib.contextmanager
def explain_out_of_memory(device: torch.device, purpose: str, shape: Sequence[int] | None = None) -> Iterator[None]:
    """Turns PyTorch's error for exhausted memory into an `EngineError` that says what to do.

    Args:
        device: whose memory it is.
        purpose, shape: what the memory is needed for; the text is made only when it is needed.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        needed_for = purpose if shape is None else f"{purpose} {tuple(shape)}"
        raise EngineError(
            f"{device} does not have enough memory for {needed_for}: {str(error).splitlines()[0]} Use a smaller input "
            "size or batch, end other programs on it, or use another device"
        ) from error


def _resize(image: Any, size_hw: tuple[int, int], device: torch.device) -> Any:
    if not isinstance(image, Tensor):
        return resize_image(image, size_hw)
    with on_device(device):
        return resize_on_device(image, size_hw)


def _elapsed_ms(events: Sequence[torch.cuda.Event]) -> list[float]:
    events[-1].synchronize()
    return [start.elapsed_time(end) for start, end in itertools.pairwise(events)]

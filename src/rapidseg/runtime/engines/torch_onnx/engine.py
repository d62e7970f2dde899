"""PyTorch for model files: NVIDIA GPUs, and the CPU for comparison. Needs the extra `nvidia`."""

from __future__ import annotations

import contextlib
import functools
import itertools
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rapidseg.core.errors import EngineError, InputError
from rapidseg.core.spec import ModelSpec
from rapidseg.runtime.engines.base import Engine, ShapeCache
from rapidseg.runtime.engines.torch_onnx.autotuner import Autotuner
from rapidseg.runtime.engines.torch_onnx.class_maps import class_maps_on_device, why_not_triton
from rapidseg.runtime.engines.torch_onnx.cuda_graph import CudaGraph, library_settings, on_device
from rapidseg.runtime.engines.torch_onnx.images import Normalizer, resize_on_device, to_device, to_host
from rapidseg.runtime.engines.torch_onnx.network import Plan, TorchNetwork
from rapidseg.runtime.timing import Timings
from rapidseg.system.gpu import find_device

NUMBER_TYPES = {"float32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


class _Compiled:
    """The network for one shape of images: where its input lies, and what runs it."""

    def __init__(self, network: TorchNetwork, shape: tuple[int, ...], *, with_triton: bool) -> None:
        count, height, width, channels = shape
        self.ways = Autotuner(with_triton)
        # Ways of computing are compared on numbers, not on zeros; a caller's random numbers stay what they are.
        random = torch.Generator(network.device).manual_seed(0)
        self.normalized = torch.randn(
            (count, channels, height, width), generator=random, dtype=network.dtype, device=network.device
        ).contiguous(memory_format=torch.channels_last)
        with library_settings(network.device):
            self.plan, _ = network.plan(self.normalized, self.ways)
            # Not by a function that knows `self`: such a ring would keep a dropped graph and its memory.
            self.run = CudaGraph(functools.partial(self.plan, self.normalized), network.device)


class TorchFileEngine(Engine):
    """Runs a model file with PyTorch; on a GPU, as one CUDA graph for each input shape.

    Images may be arrays, or uint8 tensors on the engine's device; class maps come back in the same form. Work is queued
    on the current stream of PyTorch. With tensors nobody waits for it, as is usual in PyTorch.
    """

    name = "torch"

    def __init__(
        self, path: Path, spec: ModelSpec, *, precision: str, device: str, rounding: str | None = None
    ) -> None:
        """Reads a file.

        Args:
            path, spec: the file, and what it says about itself.
            precision: one of `NUMBER_TYPES`. float32 is computed without TF32.
            device: "cpu", "cuda" or "cuda:1".
            rounding: to which of `NUMBER_TYPES` everything is rounded after it was computed in `precision`, so that a
                CPU tells what another device would do.

        Raises:
            EngineError: the device is not there, or does not compute in the precision; or it is an INT8 file.
            ModelFileError: the file cannot be read.
        """
        self._device = find_device(device, precision)
        self.precision = precision
        self.dtype = NUMBER_TYPES[precision]
        self.device = str(self._device)
        self._path = path
        with self._explained("the network itself"), on_device(self._device):
            self._network = TorchNetwork(
                path,
                device=self._device,
                dtype=self.dtype,
                rounding=None if rounding is None else NUMBER_TYPES[rounding],
            )
            self._normalize = Normalizer(spec.mean, spec.std, self._device)
            why_not = why_not_triton(self._device) if self._device.type == "cuda" else "it is for GPUs"
        self._with_triton = why_not is None
        self.class_map_way = "by Triton" if why_not is None else f"in plain PyTorch, not by Triton: {why_not}"
        self._compiled = ShapeCache(functools.partial(_Compiled, self._network, with_triton=self._with_triton))
        self._turn = threading.Lock()
        # Streams do not wait for each other by themselves, and all share the buffers of what is compiled.
        self._free = torch.cuda.Event() if self._device.type == "cuda" else None

    def compile(self, shape: tuple[int, ...]) -> None:
        with self._turn:
            self._network_for(shape)

    def takes(self, image: object) -> bool:
        return isinstance(image, Tensor)

    def resize(self, image: Any, size_hw: tuple[int, int]) -> Any:
        if not isinstance(image, Tensor):
            return super().resize(image, size_hw)
        with on_device(self._device):
            return resize_on_device(image, size_hw)

    def prepare(self, images: Any) -> Tensor:
        with self._explained(f"images of {tuple(images.shape)}"), on_device(self._device):
            return self._own(images) if isinstance(images, Tensor) else to_device(images, self._device)

    def infer(self, prepared: Tensor) -> Tensor:
        """Returns the logits, (N, K, h, w), on the device and in the engine's precision."""
        with self._turn, self._explained(f"images of {tuple(prepared.shape)}"), on_device(self._device):
            compiled = self._network_for(tuple(prepared.shape))
            if self._free is not None:
                torch.cuda.current_stream().wait_event(self._free)
            self._normalize(prepared, compiled.normalized)
            # Copied, since the next call overwrites the graph's own.
            logits = compiled.run().clone()
            if self._free is not None:
                self._free.record()
        return logits

    def run(self, images: np.ndarray) -> np.ndarray:
        return to_host(self.infer(self.prepare(images)).float().contiguous())

    def class_maps(
        self, logits: Any, size_hw: tuple[int, int], *, align_corners: bool, confidence: bool = False
    ) -> tuple[Sequence[Any], Sequence[Any] | None]:
        if self._device.type != "cuda":
            arrays = logits.float().contiguous().numpy()
            return super().class_maps(arrays, size_hw, align_corners=align_corners, confidence=confidence)
        with self._explained(f"class maps of {size_hw}"), on_device(self._device):
            class_maps, confidences = class_maps_on_device(
                logits,
                size_hw,
                align_corners=align_corners,
                confidence=confidence,
                with_triton=self._with_triton,
            )
        return class_maps.unbind(), None if confidences is None else confidences.unbind()

    def give(self, result: Any, like: object) -> Any:
        if isinstance(like, Tensor):
            return torch.from_numpy(result) if isinstance(result, np.ndarray) else result
        return to_host(result) if isinstance(result, Tensor) else result

    def moment(self) -> Any:
        if self._device.type != "cuda":
            return time.perf_counter()
        with torch.cuda.device(self._device):
            event = torch.cuda.Event(enable_timing=True)
            event.record()
        return event

    def timings_ms(self, stages: Sequence[str], moments: Sequence[Any]) -> Mapping[str, float]:
        if self._device.type != "cuda":
            return super().timings_ms(stages, moments)

        def spent() -> list[float]:
            moments[-1].synchronize()
            return [start.elapsed_time(end) for start, end in itertools.pairwise(moments)]

        return Timings(stages, spent)

    def plan(self, shape: tuple[int, ...]) -> Plan:
        """Returns what is computed for images of shape (N, H, W, 3), step by step; for whoever wants to count."""
        with self._turn:
            return self._network_for(shape).plan

    def ways(self, shape: tuple[int, ...]) -> Autotuner:
        """Returns how convolutions are computed for images of that shape; for whoever wants to know."""
        with self._turn:
            return self._network_for(shape).ways

    def _network_for(self, shape: tuple[int, ...]) -> _Compiled:
        with self._explained(f"images of {shape}"), on_device(self._device):
            return self._compiled[shape]

    def _own(self, image: Tensor) -> Tensor:
        if image.device != self._device:
            raise InputError(
                f"the image is on {image.device}, but the model runs on {self._device}; move it there with "
                f'image.to("{self._device}"), or give a NumPy array'
            )
        return image

    @contextlib.contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        """Says in words what to do where memory does not suffice."""
        try:
            yield
        except torch.OutOfMemoryError as error:
            raise EngineError(
                f"{self.device} has not enough memory for {what}: {str(error).splitlines()[0]} Take a smaller "
                "input size or batch, end other programs on it, or take another device"
            ) from error

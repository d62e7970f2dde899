"""PyTorch for model files: NVIDIA GPUs, and the CPU for comparison. Needs the extra `nvidia`."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rapidseg.core.errors import EngineError, InputError, ModelFileError
from rapidseg.core.spec import ModelSpec
from rapidseg.runtime.engines.engine import Engine, ShapeCache, explain_failure
from rapidseg.runtime.engines.process_check import check_not_forked, record_run
from rapidseg.runtime.engines.torch_onnx.autotuner import Autotuner
from rapidseg.runtime.engines.torch_onnx.backends import CudaBackend, create_backend, explain_out_of_memory
from rapidseg.runtime.engines.torch_onnx.cuda_graph import CudaGraph, library_settings, on_device
from rapidseg.runtime.engines.torch_onnx.images import Normalizer, to_device, to_host
from rapidseg.runtime.engines.torch_onnx.network import NetworkPlan, TorchNetwork
from rapidseg.system.gpu import find_device

DTYPES = {"float32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


class _Compiled:
    """The network for one shape of images: the buffer of its input, and the graph that runs it."""

    def __init__(self, network: TorchNetwork, shape: tuple[int, ...], *, with_triton: bool) -> None:
        count, height, width, channels = shape
        self.autotuner = Autotuner(with_triton)
        # Algorithms are compared on random numbers, not zeros. The generator leaves the caller's random state alone.
        random = torch.Generator(network.device).manual_seed(0)
        self.normalized = torch.randn(
            (count, channels, height, width), generator=random, dtype=network.dtype, device=network.device
        ).contiguous(memory_format=torch.channels_last)
        with library_settings(network.device):
            self.plan, _ = network.plan(self.normalized, self.autotuner)
            # Not a bound method of `self`: that reference cycle would keep a dropped graph and its memory alive.
            self.run = CudaGraph(functools.partial(self.plan, self.normalized), network.device)


class TorchOnnxEngine(Engine):
    """Runs a model file with PyTorch; on a GPU, as one CUDA graph for each input shape.

    Images may be arrays, or uint8 tensors on the engine's device. Work is queued on the current stream of PyTorch; with
    tensors no call waits for it, as usual in PyTorch.
    """

    def __init__(
        self,
        path: Path,
        spec: ModelSpec,
        *,
        precision: str,
        device: str,
        emulated_dtype: str | None = None,
        choice: str | None = None,
        warning: str | None = None,
    ) -> None:
        """Reads a file.

        Args:
            path, spec: the model file and its specification.
            precision: one of `DTYPES`. float32 is computed without TF32.
            device: "cpu", "cuda" or "cuda:1".
            emulated_dtype: one of `DTYPES`, to which every result is rounded after it was computed in `precision`, so
                that a CPU shows the effect of another device's precision.
            choice, warning: as in `Engine`.

        Raises:
            EngineError: the device is not available, or does not compute in the precision; or it is an INT8 model.
            ModelFileError: the file cannot be read.
        """
        check_not_forked("PyTorch")
        self._path = path
        self._device = find_device(device, precision)
        super().__init__(
            name="torch",
            precision=precision,
            device=str(self._device),
            backend=create_backend(self._device),
            choice=choice,
            warning=warning,
        )
        self.dtype = DTYPES[precision]
        situation = f"{path}: PyTorch cannot run it"
        with (
            explain_failure(ModelFileError, situation, "export the model again"),
            self._explain("the network"),
            on_device(self._device),
        ):
            self._network = TorchNetwork(
                path,
                device=self._device,
                dtype=self.dtype,
                emulated_dtype=None if emulated_dtype is None else DTYPES[emulated_dtype],
            )
            self._normalize = Normalizer(spec.mean, spec.std, self._device)
        with_triton = isinstance(self.backend, CudaBackend) and self.backend.has_triton
        self._compile_for = functools.partial(_Compiled, self._network, with_triton=with_triton)
        self._compiled: ShapeCache[_Compiled] = ShapeCache()
        # CUDA streams do not wait for each other, and all of them share the buffers of a compiled network.
        self._free = torch.cuda.Event() if self._device.type == "cuda" else None

    def compile(self, shape: tuple[int, ...]) -> None:
        with self._turn:
            self._network_for(shape)

    def upload(self, images: Any) -> Tensor:
        self.check_process()
        record_run("PyTorch")
        with self._explain("images of", images.shape), on_device(self._device):
            return self._check_device(images) if isinstance(images, Tensor) else to_device(images, self._device)

    def infer(self, uploaded: Tensor) -> Tensor:
        """Computes the logits, (N, K, h, w), on the device and in the engine's precision."""
        with self._turn, self._explain("images of", uploaded.shape), on_device(self._device):
            compiled = self._network_for(tuple(uploaded.shape))
            if self._free is not None:
                torch.cuda.current_stream().wait_event(self._free)
            self._normalize(uploaded, compiled.normalized)
            # Copied, since the next call overwrites the graph's output.
            logits = compiled.run().clone()
            if self._free is not None:
                self._free.record()
        return logits

    def run(self, images: np.ndarray) -> np.ndarray:
        return to_host(self.infer(self.upload(images)).float().contiguous())

    def plan(self, shape: tuple[int, ...]) -> NetworkPlan:
        """Returns the steps that are computed for images of shape (N, H, W, 3); for analysis."""
        with self._turn:
            return self._network_for(shape).plan

    def autotuner(self, shape: tuple[int, ...]) -> Autotuner:
        """Returns which algorithms compute the convolutions for images of that shape; for analysis."""
        with self._turn:
            return self._network_for(shape).autotuner

    def _network_for(self, shape: tuple[int, ...]) -> _Compiled:
        situation = f"PyTorch cannot run {self._path} on images of {shape}"
        with (
            explain_failure(EngineError, situation, "use another image size, or export the model again"),
            self._explain("images of", shape),
            on_device(self._device),
        ):
            return self._compiled.get(shape, self._compile_for)

    def _check_device(self, images: Tensor) -> Tensor:
        if images.device != self._device:
            raise InputError(
                f"the image is on {images.device}, but the model runs on {self._device}; move it there with "
                f'image.to("{self._device}"), or pass a NumPy array'
            )
        return images

    def _explain(self, purpose: str, shape: Sequence[int] | None = None) -> AbstractContextManager[None]:
        return explain_out_of_memory(self._device, purpose, shape)

"""OpenVINO: the fastest engine on CPUs, and part of the base install."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import inspect
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import openvino

from rapidseg.core.errors import EngineError, ModelFileError
from rapidseg.core.extras import repair_hint
from rapidseg.core.spec import ModelSpec
from rapidseg.runtime.engines import openvino_input, openvino_tiling
from rapidseg.runtime.engines.engine import Engine, ShapeCache, check_names, explain_failure, file_digest
from rapidseg.runtime.engines.openvino_input import split_preprocessing
from rapidseg.runtime.engines.openvino_tiling import tile_rows
from rapidseg.runtime.engines.process_check import check_not_forked, record_run
from rapidseg.system.cache import cache_folder
from rapidseg.system.compiled_cache import entry_name, load_entry, store_entry
from rapidseg.system.cpu import cpu_count, cpu_identity, thread_limit
from rapidseg.system.signal_stack import enlarge_signal_stack

_ADVICE = "use another image size, or export the model again"
_HINTS = {"float32": "f32", "bf16": "bf16"}


@dataclass(frozen=True, eq=False)
class _Network:
    """The network compiled for one input shape, and input buffers that are free for reuse."""

    request: openvino.InferRequest
    buffers: list[openvino.Tensor]


@dataclass(frozen=True, eq=False)
class _Uploaded:
    """Images of some shape, (N, H, W, 3), in the form that the network takes."""

    shape: tuple[int, ...]
    tensor: openvino.Tensor


class OpenVinoEngine(Engine):
    """Runs a model file with OpenVINO, compiled for each input shape.

    Normalization is split off the network, since one pass over the bytes of the image is faster
    (`split_preprocessing`). For large images the first layers are computed tile by tile (`tile_rows`).
    """

    def __init__(
        self,
        path: Path,
        spec: ModelSpec,
        *,
        precision: str,
        device: str,
        cache: bool = True,
        choice: str | None = None,
        warning: str | None = None,
    ) -> None:
        """Reads a file.

        Args:
            path, spec: the model file and its specification.
            precision: of the layers that are not INT8: float32 or bf16.
            device: OpenVINO's name for it, in lower case.
            cache: whether OpenVINO caches compiled models on disk for the next process.
            choice, warning: as in `Engine`.

        Raises:
            EngineError: the device is not available, or does not compute in bf16; or this process was forked from one
                in which OpenVINO has run.
            ModelFileError: the file cannot be read.
        """
        super().__init__(
            name="openvino",
            precision="int8" if spec.quantization else precision,
            device=device,
            choice=choice,
            warning=warning,
        )
        check_not_forked("OpenVINO")
        self._path = path
        self._hint = _HINTS[precision]
        self._core = openvino.Core()
        devices = [name.lower() for name in self._core.available_devices]
        if device not in devices:
            if not devices:
                raise EngineError(
                    f"OpenVINO finds no device, not even the CPU, so files of it are missing: {repair_hint('openvino')}"
                )
            raise EngineError(f"OpenVINO: device {device!r} not found; available: {', '.join(devices)}")
        if precision == "bf16" and not openvino_computes_in_bf16(device):
            raise EngineError(f"this {device.upper()} does not compute in bf16; use float32")
        version = openvino.__version__.split("-")[0]
        with explain_failure(ModelFileError, f"{path}: OpenVINO {version} cannot read it", "export the model again"):
            self._model = self._core.read_model(path)
            ports = self._model.inputs, self._model.outputs
            check_names(path, *([port.any_name for port in side] for side in ports))
            type_ = openvino.Type.bf16 if precision == "bf16" else openvino.Type.f32
            self._model, self._input = split_preprocessing(self._model, type_, path)
        self._cache = cache_folder("openvino") if cache else None
        self._digest = file_digest(path) if self._cache is not None else None
        self._networks: ShapeCache[_Network] = ShapeCache()

    def compile(self, shape: tuple[int, ...]) -> None:
        with self._turn:
            self._networks.get(shape, self._compile)

    def upload(self, images: np.ndarray) -> _Uploaded:
        with self._turn:
            buffers = self._networks.get(images.shape, self._compile).buffers
            # Allocating costs more than the pass over the image, so buffers are reused.
            tensor = buffers.pop() if buffers else openvino.Tensor(self._input.type, list(images.shape))
        self._input.fill(images, tensor)
        return _Uploaded(images.shape, tensor)

    def infer(self, uploaded: _Uploaded) -> np.ndarray:
        with self._turn:
            network = self._networks.get(uploaded.shape, self._compile)
            request = network.request
            with explain_failure(
                EngineError, f"OpenVINO cannot run {self._path} on images of {uploaded.shape}", _ADVICE
            ):
                request.set_input_tensor(uploaded.tensor)
                record_run("OpenVINO")
                request.infer()
                # Copied, since the next call overwrites the request's output.
                logits = np.array(request.get_output_tensor().data, np.float32)
            network.buffers.append(uploaded.tensor)
        return logits

    def _compile(self, shape: tuple[int, ...]) -> _Network:
        settings: dict[str, Any] = {
            "PERFORMANCE_HINT": "LATENCY",
            # Set even for float32, because OpenVINO defaults to bf16 on CPUs that have it.
            "INFERENCE_PRECISION_HINT": self._hint,
        }
        if self.device == "cpu":
            settings |= thread_settings()
        situation = f"OpenVINO cannot compile {self._path} for images of {shape}"
        with explain_failure(EngineError, situation, _ADVICE):
            compiled = self._load_cached(shape, settings) or self._compile_model(shape, settings)
            request = compiled.create_infer_request()
        enlarge_signal_stack()
        return _Network(request, [])

    def _compile_model(self, shape: tuple[int, ...], settings: Mapping[str, Any]) -> openvino.CompiledModel:
        """Compiles the network for images of a shape, and caches it."""
        model = self._model.clone()
        model.reshape(list(shape))
        if self.device == "cpu" and shape[0] == 1 and self._input.type != openvino.Type.u8:
            tile_rows(model, self._input.type.size)
        compiled = self._core.compile_model(model, self.device.upper(), settings)
        if self._cache is not None and self._digest is not None:
            with contextlib.suppress(RuntimeError):  # not every device can export what it compiled
                store_entry(self._cache, self._entry_name(shape, settings), compiled.export_model().getvalue())
        return compiled

    def _load_cached(self, shape: tuple[int, ...], settings: Mapping[str, Any]) -> openvino.CompiledModel | None:
        # Not OpenVINO's own cache: it does not notice wrong bytes, which then give wrong class maps.
        if self._cache is None or self._digest is None:
            return None
        return load_entry(
            self._cache,
            self._entry_name(shape, settings),
            lambda content: self._core.import_model(content, self.device.upper(), settings),
        )

    def _entry_name(self, shape: tuple[int, ...], settings: Mapping[str, Any]) -> str:
        return entry_name(
            *(self._digest, _transformations_sha256(), shape, self.device, sorted(settings.items())),
            *(openvino.__version__, cpu_identity(), cpu_count()),
        )


@functools.cache
def _transformations_sha256() -> str:
    """Returns a digest of the code that changes a network before it is compiled."""
    sources = [inspect.getsource(module) for module in (openvino_input, openvino_tiling, sys.modules[__name__])]
    return hashlib.sha256("".join(sources).encode()).hexdigest()


def thread_settings() -> dict[str, Any]:
    """Returns the settings of a network on a CPU that say how many threads it may use."""
    settings: dict[str, Any] = {"INFERENCE_NUM_THREADS": cpu_count()}
    if thread_limit():
        # Pinned, the threads of every container of a machine would sit on its same first CPUs.
        settings["ENABLE_CPU_PINNING"] = False
    return settings


def openvino_computes_in_bf16(device: str) -> bool:
    """Says whether a device computes in bf16 natively; False if the device is not available."""
    try:
        return "BF16" in openvino.Core().get_property(device.upper(), "OPTIMIZATION_CAPABILITIES")
    except RuntimeError:
        return False

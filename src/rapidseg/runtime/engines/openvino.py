"""OpenVINO: the fastest on CPUs, and the one that the base install brings."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path
from typing import Any

import numpy as np
import openvino

from rapidseg.core.errors import EngineError, ModelFileError
from rapidseg.runtime.cache import cache_folder
from rapidseg.runtime.engines.base import CompiledByShape, check_names
from rapidseg.runtime.machine import cpu_count

_HINTS = {"float32": "f32", "bf16": "bf16"}
_MAX_CACHED_FILES = 64  # about 5 MB each for Fast-SCNN; photos of many sizes would fill the disk


class OpenVinoEngine:
    """Runs a model file with OpenVINO, compiled for each input shape."""

    name = "openvino"

    def __init__(self, path: Path, *, precision: str, device: str) -> None:
        self.precision = precision
        self.device = device
        self._path = path
        self._core = openvino.Core()
        devices = [name.lower() for name in self._core.available_devices]
        if device not in devices:
            raise EngineError(f"OpenVINO finds no device {device!r} here; there are: {', '.join(devices)}")
        if precision == "bf16" and "BF16" not in self._core.get_property(device.upper(), "OPTIMIZATION_CAPABILITIES"):
            raise EngineError(f"this {device.upper()} does not compute in bf16; use float32")
        self._model = self._read()
        ports = self._model.inputs, self._model.outputs
        check_names(path, *([port.any_name for port in side] for side in ports))
        self._cache = cache_folder("openvino")
        self._requests = CompiledByShape(self._compile)
        self._turn = threading.Lock()

    def compile(self, shape: tuple[int, ...]) -> None:
        with self._turn:
            self._requests[shape]

    def run(self, images: np.ndarray) -> np.ndarray:
        with self._turn:
            request = self._requests[images.shape]
            # Inputs are read where they are. Outputs are copied, since the next call overwrites the request's own.
            logits: np.ndarray = request.infer([np.ascontiguousarray(images)], share_inputs=True)[0]
        return logits

    def _read(self) -> openvino.Model:
        try:
            return self._core.read_model(self._path)
        except RuntimeError as error:
            raise ModelFileError(
                f"{self._path}: OpenVINO {openvino.__version__.split('-')[0]} cannot read it: {_reason(error)}; "
                "export the model again"
            ) from error

    def _compile(self, shape: tuple[int, ...]) -> openvino.InferRequest:
        settings: dict[str, Any] = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": cpu_count(),
            # Said even for float32, because OpenVINO takes bf16 by itself on CPUs that have it.
            "INFERENCE_PRECISION_HINT": _HINTS[self.precision],
        }
        if self._cache:
            settings["CACHE_DIR"] = str(self._cache)
        if self.device != "cpu":
            del settings["INFERENCE_NUM_THREADS"]
        try:
            self._model.reshape(openvino.PartialShape(list(shape)))
            compiled = self._core.compile_model(self._model, self.device.upper(), settings)
        except RuntimeError as error:
            raise EngineError(
                f"OpenVINO cannot compile {self._path} for images of {shape}: {_reason(error)}"
            ) from error
        self._drop_oldest_cached()
        return compiled.create_infer_request()

    def _drop_oldest_cached(self) -> None:
        if not self._cache:
            return
        with contextlib.suppress(OSError):  # another process may clear up at the same time
            files = sorted(self._cache.glob("*.blob"), key=lambda file: file.stat().st_mtime)
            for file in files[:-_MAX_CACHED_FILES]:
                file.unlink()


def _reason(error: Exception) -> str:
    """Returns the last line of OpenVINO's message; those before it are places in its source."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__

"""ONNX Runtime: runs nearly everywhere; `pip install 'rapidseg[onnxruntime]'`."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np

from rapidseg.core.errors import EngineError, ModelFileError
from rapidseg.core.spec import ModelSpec
from rapidseg.runtime.engines.base import INPUT, OUTPUT, CompiledByShape, Engine, check_names
from rapidseg.runtime.machine import cpu_count

try:
    import onnxruntime
except ModuleNotFoundError as error:
    raise EngineError(
        "ONNX Runtime is not installed; install it with: pip install 'rapidseg[onnxruntime]', or use engine openvino"
    ) from error

_DEVICES = {"cpu": "CPUExecutionProvider"}


class OnnxRuntimeEngine(Engine):
    """Runs a model file with ONNX Runtime, with a session for each input shape."""

    name = "onnxruntime"

    def __init__(self, path: Path, spec: ModelSpec, *, precision: str, device: str) -> None:
        """Opens a file.

        Args:
            path, spec: the file, and what it says about itself.
            precision: of what is not INT8: float32.
            device: one of `_DEVICES`.

        Raises:
            EngineError: the precision or device is not there.
            ModelFileError: the file cannot be read.
        """
        if precision != "float32":
            raise EngineError(f"ONNX Runtime computes in float32 on the CPU, not in {precision}; use engine openvino")
        if device not in _DEVICES:
            raise EngineError(f"the ONNX Runtime engine has no device {device!r}; there are: {', '.join(_DEVICES)}")
        self.precision = "int8" if spec.quantization else precision
        self.device = device
        self._path = path
        session = self._open(onnxruntime.SessionOptions())
        check_names(path, [port.name for port in session.get_inputs()], [port.name for port in session.get_outputs()])
        self._dimensions = session.get_inputs()[0].shape
        self._sessions = CompiledByShape(self._specialise)
        self._turn = threading.Lock()

    def compile(self, shape: tuple[int, ...]) -> None:
        with self._turn:
            self._sessions[shape]

    def prepare(self, images: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(images)

    def infer(self, prepared: np.ndarray) -> np.ndarray:
        with self._turn:
            logits: np.ndarray = self._sessions[prepared.shape].run([OUTPUT], {INPUT: prepared})[0]
        return logits

    def _specialise(self, shape: tuple[int, ...]) -> onnxruntime.InferenceSession:
        options = onnxruntime.SessionOptions()
        for dimension, size in zip(self._dimensions, shape, strict=True):
            if isinstance(dimension, str):  # a free dimension has a name
                options.add_free_dimension_override_by_name(dimension, size)
        return self._open(options)

    def _open(self, options: onnxruntime.SessionOptions) -> onnxruntime.InferenceSession:
        options.intra_op_num_threads = cpu_count()
        # Its threads spin for a while after each run, which would slow the class map down.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        options.log_severity_level = 3  # errors; what it warns of is how it folds the graph
        try:
            return onnxruntime.InferenceSession(self._path, options, providers=[_DEVICES[self.device]])
        except Exception as error:  # its exceptions share no base but this one
            raise ModelFileError(
                f"{self._path}: ONNX Runtime {onnxruntime.__version__} cannot read it: {error}; export the model again"
            ) from error

"""ONNX Runtime: runs nearly everywhere; `pip install 'rapidseg[onnxruntime]'`."""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np

from rapidseg.core.errors import EngineError, ModelFileError, RapidSegError
from rapidseg.core.files import atomic_path
from rapidseg.core.spec import ModelSpec
from rapidseg.runtime.engines.base import INPUT, OUTPUT, Engine, ShapeCache, check_names
from rapidseg.system.cache import cache_folder, keep_newest
from rapidseg.system.cpu import cpu_count, cpu_identity

try:
    import onnxruntime
except ModuleNotFoundError as error:
    raise EngineError(
        "ONNX Runtime is not installed; install it with: pip install 'rapidseg[onnxruntime]', or use engine openvino"
    ) from error

_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider", "tensorrt": "TensorrtExecutionProvider"}
_PRECISIONS = {"cpu": ("float32",), "cuda": ("float32",), "tensorrt": ("float32", "fp16")}


class OnnxRuntimeEngine(Engine):
    """Runs a model file with ONNX Runtime, with a session for each input shape."""

    name = "onnxruntime"

    def __init__(self, path: Path, spec: ModelSpec, *, precision: str, device: str, cache: bool = True) -> None:
        """Opens a file.

        Args:
            path, spec: the file, and what it says about itself.
            precision: of what is not INT8: float32, or fp16 with TensorRT.
            device: `cpu`; `cuda` or `tensorrt` where ONNX Runtime was built with that provider.
            cache: whether what is optimized for a CPU is kept on disk for the next process.

        Raises:
            EngineError: the precision or device is not there.
            ModelFileError: the file cannot be read.
        """
        _check_device(device)
        if precision not in _PRECISIONS[device]:
            raise EngineError(
                f"ONNX Runtime computes in {' or '.join(_PRECISIONS[device])} on device {device}, not in {precision}; "
                "use another engine or precision"
            )
        self.precision = "int8" if spec.quantization else precision
        self.device = device
        self._path = path
        self._providers = _with_options(device, precision, is_int8=spec.quantization is not None)
        # To look into the file is enough here, so nothing is optimized and no GPU is asked.
        session = _open(path, _unoptimized(), ["CPUExecutionProvider"])
        check_names(path, [port.name for port in session.get_inputs()], [port.name for port in session.get_outputs()])
        self._dimensions = session.get_inputs()[0].shape
        self._cache = cache_folder("onnxruntime") if cache and device == "cpu" else None
        self._sessions = ShapeCache(self._specialize)
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

    def _specialize(self, shape: tuple[int, ...]) -> onnxruntime.InferenceSession:
        """Opens a session for one shape; what was optimized for a CPU is kept on disk for the next process."""
        options = onnxruntime.SessionOptions()
        for dimension, size in zip(self._dimensions, shape, strict=True):
            if isinstance(dimension, str):  # a free dimension has a name
                options.add_free_dimension_override_by_name(dimension, size)
        if self._cache is None:
            return self._checked(_open(self._path, options, self._providers))
        kept = self._cache / f"{self._key(shape)}.onnx"
        with contextlib.suppress(ModelFileError):  # not there, or broken: then it is made again
            return _open(kept, _unoptimized(), self._providers)
        with contextlib.suppress(RapidSegError), atomic_path(kept) as temporary:
            options.optimized_model_filepath = os.fspath(temporary)
            session = _open(self._path, options, self._providers)
            keep_newest(self._cache)
            return session
        options.optimized_model_filepath = ""  # the disk may be full
        return _open(self._path, options, self._providers)

    def _checked(self, session: onnxruntime.InferenceSession) -> onnxruntime.InferenceSession:
        """Refuses a session that ONNX Runtime moved to the CPU, as it does where a library of the GPU is missing."""
        provider = _PROVIDERS[self.device]
        if provider not in session.get_providers():
            raise EngineError(
                f"ONNX Runtime cannot start its {provider} and would use the CPU: CUDA, cuDNN or TensorRT is missing, "
                "of another version, or finds no GPU; its own messages say which. Repair that, or take device cpu"
            )
        return session

    def _key(self, shape: tuple[int, ...]) -> str:
        """Returns a name for what was optimized: another file, version, processor or number of CPUs has another."""
        status = self._path.stat()
        words = (
            *(self._path.resolve(), status.st_size, status.st_mtime_ns, shape),
            *(onnxruntime.__version__, cpu_identity(), cpu_count()),
        )
        return hashlib.sha256(repr(words).encode()).hexdigest()


def _check_device(device: str) -> None:
    if device not in _PROVIDERS:
        raise EngineError(f"the ONNX Runtime engine has no device {device!r}; there are: {', '.join(_PROVIDERS)}")
    available = onnxruntime.get_available_providers()
    if _PROVIDERS[device] not in available:
        found = [name for name, provider in _PROVIDERS.items() if provider in available]
        raise EngineError(
            f"this ONNX Runtime was built without {_PROVIDERS[device]}, which device {device} needs; it has: "
            f"{', '.join(found)}. Install onnxruntime-gpu in place of onnxruntime, or take another device"
        )


def _with_options(device: str, precision: str, *, is_int8: bool) -> list[Any]:
    """Returns the providers to try, in order, with their options."""
    cuda = (_PROVIDERS["cuda"], {"use_tf32": "0"})  # or float32 would be rounded to 10 bits
    if device == "cpu":
        return [_PROVIDERS["cpu"]]
    if device == "cuda":
        return [cuda]
    tensorrt: dict[str, Any] = {"trt_fp16_enable": precision == "fp16", "trt_int8_enable": is_int8}
    folder = cache_folder("tensorrt")  # building an engine takes minutes
    if folder is not None:
        tensorrt |= {"trt_engine_cache_enable": True, "trt_engine_cache_path": os.fspath(folder)}
    return [(_PROVIDERS["tensorrt"], {name: str(value) for name, value in tensorrt.items()}), cuda]


def _unoptimized() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return options


def _open(path: Path, options: onnxruntime.SessionOptions, providers: list[Any]) -> onnxruntime.InferenceSession:
    options.intra_op_num_threads = cpu_count()
    # Its threads spin for a while after each run, which would slow the class map down.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    options.log_severity_level = 3  # errors; what it warns of is how it folds the graph
    try:
        return onnxruntime.InferenceSession(path, options, providers=providers)
    except Exception as error:  # its exceptions share no base but this one
        raise ModelFileError(
            f"{path}: ONNX Runtime {onnxruntime.__version__} cannot read it: {error}; export the model again"
        ) from error

"""ONNX Runtime: runs nearly everywhere. Needs the extra `onnxruntime`."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from rapidseg.core.errors import EngineError, ModelFileError
from rapidseg.core.spec import ModelSpec
from rapidseg.runtime.engines.engine import INPUT, OUTPUT, Engine, ShapeCache, check_names, explain_failure, file_digest
from rapidseg.system.cache import cache_folder
from rapidseg.system.compiled_cache import entry_name, load_entry, store_entry, temporary_folder, verified_files
from rapidseg.system.cpu import cpu_count, cpu_identity

onnxruntime.disable_telemetry_events()  # which ONNX Runtime records on Windows

_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider", "tensorrt": "TensorrtExecutionProvider"}
_PRECISIONS = {"cpu": ("float32",), "cuda": ("float32",), "tensorrt": ("float32", "fp16")}


class OnnxRuntimeEngine(Engine):
    """Runs a model file with ONNX Runtime, with a session for each input shape."""

    def __init__(
        self,
        path: Path,
        spec: ModelSpec,
        *,
        precision: str,
        device: str,
        choice: str | None = None,
        warning: str | None = None,
        cache: bool = True,
    ) -> None:
        """Opens a file.

        Args:
            path, spec: the model file and its specification.
            precision: of the layers that are not INT8: float32, or fp16 with TensorRT.
            device: `cpu`; `cuda` or `tensorrt` if ONNX Runtime was built with that provider.
            choice, warning: as in `Engine`.
            cache: whether what it optimizes for a CPU is cached on disk, for the next process.

        Raises:
            EngineError: the precision or device is not available.
            ModelFileError: the file cannot be read.
        """
        _check_device(device)
        if precision not in _PRECISIONS[device]:
            raise EngineError(
                f"ONNX Runtime computes in {' or '.join(_PRECISIONS[device])} on device {device}, not in {precision}; "
                "use another engine or precision"
            )
        super().__init__(
            name="onnxruntime",
            precision="int8" if spec.quantization else precision,
            device=device,
            choice=choice,
            warning=warning,
        )
        self._path = path
        self._providers = provider_options(device, precision, is_int8=spec.quantization is not None)
        # Only names and shapes are read here, so the session is not optimized and uses no GPU.
        session = _open(path, _unoptimized(), ["CPUExecutionProvider"])
        check_names(path, [port.name for port in session.get_inputs()], [port.name for port in session.get_outputs()])
        self._dimensions = session.get_inputs()[0].shape
        self._cache = cache_folder("onnxruntime") if cache and device == "cpu" else None
        self._sessions: ShapeCache[onnxruntime.InferenceSession] = ShapeCache()

    def compile(self, shape: tuple[int, ...]) -> None:
        with self._turn:
            self._sessions.get(shape, self._specialize)

    def upload(self, images: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(images)

    def infer(self, uploaded: np.ndarray) -> np.ndarray:
        with self._turn:
            session = self._sessions.get(uploaded.shape, self._specialize)
            with explain_failure(
                EngineError,
                f"ONNX Runtime cannot run {self._path} on images of {uploaded.shape}",
                "use another image size, or export the model again",
            ):
                logits: np.ndarray = session.run([OUTPUT], {INPUT: uploaded})[0]
        return logits

    def _specialize(self, shape: tuple[int, ...]) -> onnxruntime.InferenceSession:
        """Opens a session for one shape; on a CPU, caches the optimized model on disk for the next process."""
        options = onnxruntime.SessionOptions()
        for dimension, size in zip(self._dimensions, shape, strict=True):
            if isinstance(dimension, str):  # only free dimensions have a name
                options.add_free_dimension_override_by_name(dimension, size)
        name = None if self._cache is None else self._entry_name(shape)
        if self._cache is None or name is None:
            with self._verified_engines():
                return self._checked(_open(self._path, options, self._providers))
        cached = load_entry(self._cache, name, lambda content: _open(content, _unoptimized(), self._providers))
        if cached is not None:
            return cached
        try:
            with temporary_folder(self._cache) as folder:
                optimized = folder / "optimized.onnx"
                options.optimized_model_filepath = os.fspath(optimized)
                session = _open(self._path, options, self._providers)
                content = optimized.read_bytes()
        except (ModelFileError, OSError):  # the disk may be full
            options.optimized_model_filepath = ""
            return _open(self._path, options, self._providers)
        store_entry(self._cache, name, content)
        return session

    def _checked(self, session: onnxruntime.InferenceSession) -> onnxruntime.InferenceSession:
        """Raises if ONNX Runtime fell back to the CPU, as it does where a library for the GPU is missing."""
        provider = _PROVIDERS[self.device]
        if provider not in session.get_providers():
            raise EngineError(
                f"ONNX Runtime cannot start its {provider} and would use the CPU: CUDA, cuDNN or TensorRT is missing, "
                "has another version, or finds no GPU; its log says which. Fix that, or use device cpu"
            )
        return session

    def _verified_engines(self) -> contextlib.AbstractContextManager[None]:
        """Checks the files of TensorRT, which caches engines by itself."""
        folder = cache_folder("tensorrt") if self.device == "tensorrt" else None
        return contextlib.nullcontext() if folder is None else verified_files(folder)

    def _entry_name(self, shape: tuple[int, ...]) -> str | None:
        """Returns the name of a cached model: it depends on the file, the version and the processor.

        None where the file keeps weights in other files.
        """
        digest = file_digest(self._path)
        if digest is None:
            return None
        status = self._path.stat()
        return entry_name(
            *(digest, os.fspath(self._path.resolve()), status.st_size, status.st_mtime_ns, shape),
            *(onnxruntime.__version__, cpu_identity(), cpu_count()),
        )


def _check_device(device: str) -> None:
    if device not in _PROVIDERS:
        raise EngineError(f"ONNX Runtime: unknown device {device!r}; allowed: {', '.join(_PROVIDERS)}")
    available = onnxruntime.get_available_providers()
    if _PROVIDERS[device] not in available:
        devices = [name for name, provider in _PROVIDERS.items() if provider in available]
        raise EngineError(
            f"device {device!r} needs {_PROVIDERS[device]}, which this build of ONNX Runtime does not have; available: "
            f"{', '.join(devices)}. Install onnxruntime-gpu in place of onnxruntime, or use another device"
        )


def provider_options(device: str, precision: str, *, is_int8: bool) -> list[Any]:
    """Returns the providers of ONNX Runtime to try, in order, with their options.

    Args:
        device: `cpu`, `cuda` or `tensorrt`.
        precision: of the layers that are not INT8.
        is_int8: whether the model has INT8 layers.
    """
    cuda = (_PROVIDERS["cuda"], {"use_tf32": "0"})  # TF32 would round float32 to 10 bits
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


def _open(
    path: Path | bytes, options: onnxruntime.SessionOptions, providers: list[Any]
) -> onnxruntime.InferenceSession:
    options.intra_op_num_threads = cpu_count()
    # ONNX Runtime's threads spin for a while after each run, which would slow the class map down.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    options.log_severity_level = 3  # errors only: its warnings are about folding constants
    name = path if isinstance(path, Path) else "a cached model"
    situation = f"{name}: ONNX Runtime {onnxruntime.__version__} cannot read it"
    with explain_failure(ModelFileError, situation, "export the model again"):  # its exceptions share no narrower base
        # On a CPU there is nothing to fall back to, but ONNX Runtime would print so before it tries again.
        falls_back = int(providers != [_PROVIDERS["cpu"]])
        return onnxruntime.InferenceSession(_readable(path), options, providers=providers, enable_fallback=falls_back)


def _readable(model: Path | bytes) -> Path | bytes:
    """Returns the content of a file whose name is not Unicode, which ONNX Runtime cannot open itself."""
    if isinstance(model, bytes):
        return model
    try:
        os.fspath(model).encode()
    except UnicodeEncodeError:
        return model.read_bytes()
    return model

"""Engines that run model files. Each one is imported only when it is used."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from rapidseg.core.choices import EngineName, PrecisionName
from rapidseg.core.errors import EngineError, ModelFileError, nearest_hint
from rapidseg.core.extras import missing_extra
from rapidseg.core.import_errors import dependency_error
from rapidseg.core.spec import ModelSpec
from rapidseg.runtime.engines.engine import Engine
from rapidseg.runtime.engines.selection import AUTO_PRECISION_MIN_AGREEMENT, Choice, choose_engine, choose_precision
from rapidseg.system.cpu import limit_library_threads
from rapidseg.system.signal_stack import enlarge_signal_stack

ENGINES: tuple[EngineName, ...] = get_args(EngineName)
PRECISIONS: tuple[PrecisionName, ...] = get_args(PrecisionName)


def create_engine(
    path: Path,
    spec: ModelSpec,
    *,
    engine: str = "auto",
    precision: str = "auto",
    device: str = "auto",
    choice: str | None = None,
    cache: bool = True,
) -> Engine:
    """Creates an engine for a model file.

    Args:
        path: a model file of `rapidseg export`.
        spec: the specification of the model file.
        engine: one of `ENGINES`; "auto": see `choose_engine`.
        precision: one of `PRECISIONS`, "int8" only for INT8 models; "auto": see `choose_precision`.
        device: "cpu", "cuda", or another that the engine knows; "auto": see `choose_engine`.
        choice: the sentence that says what was chosen and why; None: composed of the reasons of `choose_engine` and
            `choose_precision`.
        cache: whether the engine caches what it compiles on disk, for the next process.

    Raises:
        EngineError: the engine, precision or device is unknown, not installed or not available, or the model does not
            run in the precision.
        ModelFileError: the engine cannot read the file.
    """
    _check("engine", engine, ENGINES)
    _check("precision", precision, PRECISIONS)
    _check_is_in_file(path, spec, precision)
    chosen = choose_engine(spec, engine, device.lower())
    try:
        created = _CREATE[chosen.engine](path, spec, precision, chosen, choice, cache)
    except Exception as error:  # broken packages raise errors of any type
        problem = dependency_error(error, _EXTRAS[chosen.engine])
        if problem is None:
            raise
        if problem.package != chosen.engine and missing_extra(problem.package) == "":
            raise problem from error  # every engine needs it
        raise EngineError(f"engine {chosen.engine}: {problem}, or use another engine") from error
    limit_library_threads()
    enlarge_signal_stack()
    return created


def _create_onnxruntime(
    path: Path, spec: ModelSpec, precision: str, chosen: Choice, choice: str | None, cache: bool
) -> Engine:
    from rapidseg.runtime.engines.onnxruntime import OnnxRuntimeEngine

    device = chosen.device
    dtype, reason = choose_precision(spec, precision, native=("fp16",) if device == "tensorrt" else ())
    choice = choice or chosen.explain(reason)
    return OnnxRuntimeEngine(
        path, spec, precision=dtype, device=device, choice=choice, warning=chosen.warning, cache=cache
    )


def _create_openvino(
    path: Path, spec: ModelSpec, precision: str, chosen: Choice, choice: str | None, cache: bool
) -> Engine:
    from rapidseg.runtime.engines.openvino import OpenVinoEngine, openvino_computes_in_bf16

    if precision == "fp16":
        raise EngineError("OpenVINO computes in float32 or bf16, not in fp16; use one of these, or device cuda")
    device = chosen.device
    dtype, reason = choose_precision(spec, precision, native=("bf16",) if openvino_computes_in_bf16(device) else ())
    choice = choice or chosen.explain(reason)
    return OpenVinoEngine(
        path, spec, precision=dtype, device=device, choice=choice, warning=chosen.warning, cache=cache
    )


def _create_torch(
    path: Path, spec: ModelSpec, precision: str, chosen: Choice, choice: str | None, cache: bool
) -> Engine:
    del cache  # PyTorch caches nothing on disk
    if spec.quantization is not None:
        raise EngineError(
            f"{path} is an INT8 model, which PyTorch cannot run; use engine openvino or onnxruntime, or the model that "
            "it was quantized from"
        )
    from rapidseg.runtime.engines.torch_onnx.backends import CudaBackend
    from rapidseg.runtime.engines.torch_onnx.torch_onnx_engine import TorchOnnxEngine
    from rapidseg.system.gpu import find_device, gpu_computes_in_bf16

    device = find_device(chosen.device, "float32")
    on_gpu = device.type == "cuda"
    native = () if not on_gpu else ("fp16", "bf16") if gpu_computes_in_bf16(str(device)) else ("fp16",)
    dtype, reason = choose_precision(spec, precision, native=native)
    if on_gpu:
        reason = f"{reason}; class maps {CudaBackend(device).class_map_algorithm}"
    choice = choice or chosen.explain(reason)
    return TorchOnnxEngine(path, spec, precision=dtype, device=str(device), choice=choice, warning=chosen.warning)


_CREATE = {"openvino": _create_openvino, "onnxruntime": _create_onnxruntime, "torch": _create_torch}
# The smallest extras that install an engine. PyTorch's needs torch and onnx; checkpoints need safetensors
# as well, and so the extra `export`.
_EXTRAS = {"openvino": "", "onnxruntime": "onnxruntime", "torch": "nvidia"}


def _check(option: str, value: str, allowed: tuple[str, ...]) -> None:
    if value != "auto" and value not in allowed:
        raise EngineError(
            f"{option} {value!r} is unknown; allowed are auto, {', '.join(allowed)}{nearest_hint(value, allowed)}"
        )


def _check_is_in_file(path: Path, spec: ModelSpec, precision: str) -> None:
    if spec.output != "logits":
        raise ModelFileError(
            f"{path} returns class maps, for other programs; RapidSeg needs logits: use the model that it was exported "
            "from, or export that without --output-kind class-map"
        )
    if spec.quantization is None and precision == "int8":
        raise EngineError(
            f"{path} is not an INT8 model; create one with: rapidseg export {path} --precision int8 --data DATA "
            "(rapidseg.quantize in Python), or omit the precision"
        )
    if spec.quantization is not None and precision not in ("auto", "int8"):
        raise EngineError(
            f"{path} is an INT8 model, which does not run in {precision}; omit the precision, or use the model that it "
            "was quantized from"
        )


__all__ = [
    "AUTO_PRECISION_MIN_AGREEMENT",
    "ENGINES",
    "PRECISIONS",
    "Engine",
    "choose_engine",
    "choose_precision",
    "create_engine",
]

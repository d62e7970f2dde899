"""What runs a model file. An engine is imported only when it is used."""

from __future__ import annotations

from pathlib import Path

from rapidseg.core.errors import EngineError, nearest_hint
from rapidseg.core.spec import ModelSpec
from rapidseg.runtime.engines.base import Engine
from rapidseg.runtime.engines.selection import MIN_AGREEMENT, choose_engine, choose_precision

ENGINES = ("openvino", "onnxruntime", "torch")
PRECISIONS = ("float32", "bf16", "fp16", "int8")


def create_engine(
    path: Path,
    spec: ModelSpec,
    *,
    engine: str = "auto",
    precision: str = "auto",
    device: str = "auto",
    cache: bool = True,
) -> Engine:
    """Starts an engine on a model file.

    Args:
        path: a model file of this project.
        spec: what the file says about itself.
        engine: one of `ENGINES`; "auto": see `choose_engine`.
        precision: one of `PRECISIONS`, where "int8" is that of INT8 files and of no others; "auto": see
            `choose_precision`.
        device: "cpu", "cuda", or another that the engine knows; "auto": see `choose_engine`.
        cache: whether the engine caches what it compiles on disk, for the next process.

    Raises:
        EngineError: the engine, precision or device is unknown, not installed or not there, or the precision is not
            that of the file.
        ModelFileError: the engine cannot read the file.
    """
    _check("engine", engine, ENGINES)
    _check("precision", precision, PRECISIONS)
    _check_is_in_file(path, spec, precision)
    choice = choose_engine(spec, engine, device.lower())
    started, why_precision = _START[choice.engine](path, spec, precision, choice.device, cache)
    started.choice = "; ".join((choice.why_engine, why_precision, choice.why_device))
    started.warning = choice.warning
    return started


def _start_onnxruntime(path: Path, spec: ModelSpec, precision: str, device: str, cache: bool) -> tuple[Engine, str]:
    from rapidseg.runtime.engines.onnxruntime import OnnxRuntimeEngine

    floats, reason = choose_precision(spec, precision, native=("fp16",) if device == "tensorrt" else ())
    return OnnxRuntimeEngine(path, spec, precision=floats, device=device, cache=cache), reason


def _start_openvino(path: Path, spec: ModelSpec, precision: str, device: str, cache: bool) -> tuple[Engine, str]:
    from rapidseg.runtime.engines.openvino import OpenVinoEngine, computes_in_bf16

    if precision == "fp16":
        raise EngineError("OpenVINO computes in float32 or bf16 here, not in fp16; take one of them, or device cuda")
    floats, reason = choose_precision(spec, precision, native=("bf16",) if computes_in_bf16(device) else ())
    return OpenVinoEngine(path, spec, precision=floats, device=device, cache=cache), reason


def _start_torch(path: Path, spec: ModelSpec, precision: str, device: str, cache: bool) -> tuple[Engine, str]:
    if spec.quantization is not None:
        raise EngineError(
            f"{path} is an INT8 file, which PyTorch does not run; use engine openvino or onnxruntime, or take the file "
            "that it was made from"
        )
    try:
        from rapidseg.runtime.engines.torch_onnx.engine import TorchFileEngine
        from rapidseg.system.torch_devices import computes_in_bf16, find_device
    except ModuleNotFoundError as error:
        raise EngineError(
            f"{error.name} is not installed, which the PyTorch engine needs; install it with: pip install "
            "'rapidseg[nvidia]', with a build of PyTorch for CUDA, or use engine openvino"
        ) from error
    found = str(find_device(device, "float32"))
    native = () if found == "cpu" else ("fp16", "bf16") if computes_in_bf16(found) else ("fp16",)
    floats, reason = choose_precision(spec, precision, native=native)
    started = TorchFileEngine(path, spec, precision=floats, device=device)
    if found == "cpu":
        return started, reason
    return started, f"{reason}; class maps {started.class_map_way}"


_START = {"openvino": _start_openvino, "onnxruntime": _start_onnxruntime, "torch": _start_torch}


def _check(what: str, value: str, allowed: tuple[str, ...]) -> None:
    if value != "auto" and value not in allowed:
        raise EngineError(
            f"{what} {value!r} is unknown; allowed are auto, {', '.join(allowed)}{nearest_hint(value, allowed)}"
        )


def _check_is_in_file(path: Path, spec: ModelSpec, precision: str) -> None:
    if spec.quantization is None and precision == "int8":
        raise EngineError(
            f"{path} is no INT8 file; make one of it with: rapidseg export {path} --precision int8 --data DATA, "
            "or leave the precision out"
        )
    if spec.quantization is not None and precision not in ("auto", "int8"):
        raise EngineError(
            f"{path} is an INT8 file, so it does not run in {precision}; leave the precision out, or take the file "
            "that it was made from"
        )


__all__ = ["ENGINES", "MIN_AGREEMENT", "PRECISIONS", "Engine", "choose_engine", "choose_precision", "create_engine"]

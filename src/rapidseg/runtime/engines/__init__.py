"""What runs a model file. An engine is imported only when it is used."""

from __future__ import annotations

from pathlib import Path

from rapidseg.core.errors import EngineError, nearest_hint
from rapidseg.core.spec import ModelSpec
from rapidseg.runtime.engines.base import Engine

ENGINES = ("openvino", "onnxruntime")
PRECISIONS = ("float32", "bf16", "int8")

# `auto` leaves float32 only for a precision with which at least this share of pixels keeps the class of float32.
MIN_AGREEMENT = 0.995


def create_engine(
    path: Path, spec: ModelSpec, *, engine: str = "auto", precision: str = "auto", device: str = "auto"
) -> Engine:
    """Starts an engine on a model file.

    Args:
        path: a model file of this project.
        spec: what the file says about itself.
        engine: one of `ENGINES`; "auto" is OpenVINO.
        precision: one of `PRECISIONS`, where "int8" is that of INT8 files and of no others; "auto": see
            `choose_precision`.
        device: "cpu", or another that the engine knows; "auto" is the CPU.

    Raises:
        EngineError: the engine, precision or device is unknown, not installed or not there, or the precision is not
            that of the file.
        ModelFileError: the engine cannot read the file.
    """
    _check("engine", engine, ENGINES)
    _check("precision", precision, PRECISIONS)
    _check_is_in_file(path, spec, precision)
    taken_device = "cpu" if device == "auto" else device.lower()
    started: Engine
    if engine == "onnxruntime":
        from rapidseg.runtime.engines.onnxruntime import OnnxRuntimeEngine

        floats, reason = choose_precision(spec, precision, has_bf16=False)
        started = OnnxRuntimeEngine(path, spec, precision=floats, device=taken_device)
    else:
        from rapidseg.runtime.engines.openvino import OpenVinoEngine, computes_in_bf16

        floats, reason = choose_precision(spec, precision, has_bf16=computes_in_bf16(taken_device))
        started = OpenVinoEngine(path, spec, precision=floats, device=taken_device)
    reasons = [
        "OpenVINO, the fastest on CPUs" if engine == "auto" else f"{engine}, as asked",
        reason,
        "on the CPU" if device == "auto" else f"on {device}, as asked",
    ]
    started.choice = "; ".join(reasons)
    return started


def choose_precision(spec: ModelSpec, precision: str, *, has_bf16: bool) -> tuple[str, str]:
    """Says what a file's floating-point numbers are computed in, and why.

    Where nobody asks for a precision, bf16 is taken where it was measured at export that at least `MIN_AGREEMENT` of
    the pixels keep the class of float32, and where the device computes in it. In an INT8 file this holds for what is
    not INT8.

    Args:
        spec: what the file says about itself.
        precision: one of `PRECISIONS`, or "auto".
        has_bf16: whether engine and device compute in bf16 by themselves.

    Returns:
        "float32" or "bf16", and the reason in words.
    """
    if precision in ("float32", "bf16"):
        return precision, f"{precision}, as asked"
    agreement = spec.precisions.get("bf16")
    if not has_bf16:
        floats, reason = "float32", "engine and device compute in no faster one"
    elif agreement is None:
        floats, reason = "float32", "the file does not say how many pixels keep their class in bf16"
    else:
        floats = "bf16" if agreement >= MIN_AGREEMENT else "float32"
        only = "" if agreement >= MIN_AGREEMENT else "only "
        reason = f"in bf16 {only}{100 * agreement:.2f} % of pixels keep their class, {100 * MIN_AGREEMENT:.1f} % must"
    if spec.quantization is not None:
        return floats, f"int8, which the file is in, and {floats} for the rest, since {reason}"
    return floats, f"{floats}, since {reason}"


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
    if spec.quantization is not None and precision in ("float32", "bf16"):
        raise EngineError(
            f"{path} is an INT8 file, so it does not run in {precision}; leave the precision out, or take the file "
            "that it was made from"
        )


__all__ = ["ENGINES", "MIN_AGREEMENT", "PRECISIONS", "Engine", "choose_precision", "create_engine"]

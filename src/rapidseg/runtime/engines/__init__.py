"""What runs a model file. An engine is imported only when it is used."""

from __future__ import annotations

from pathlib import Path

from rapidseg.core.errors import EngineError, nearest_hint
from rapidseg.core.spec import ModelSpec
from rapidseg.runtime.engines.base import Engine

ENGINES = ("openvino", "onnxruntime")
PRECISIONS = ("float32", "bf16")


def create_engine(
    path: Path, spec: ModelSpec, *, engine: str = "auto", precision: str = "auto", device: str = "auto"
) -> Engine:
    """Starts an engine on a model file.

    Args:
        path: a model file of this project.
        spec: what the file says about itself.
        engine: one of `ENGINES`; "auto" is OpenVINO.
        precision: one of `PRECISIONS`; "auto" is float32, which computes what the model in PyTorch computes.
        device: "cpu", or another that the engine knows; "auto" is the CPU.

    Raises:
        EngineError: the engine, precision or device is unknown, not installed or not there.
        ModelFileError: the engine cannot read the file.
    """
    _check("engine", engine, ENGINES)
    _check("precision", precision, PRECISIONS)
    reasons = [
        "OpenVINO, the fastest on CPUs" if engine == "auto" else f"{engine}, as asked",
        "float32, which computes what was trained" if precision == "auto" else f"{precision}, as asked",
        "on the CPU" if device == "auto" else f"on {device}, as asked",
    ]
    precision = "float32" if precision == "auto" else precision
    device = "cpu" if device == "auto" else device.lower()
    started: Engine
    if engine == "onnxruntime":
        from rapidseg.runtime.engines.onnxruntime import OnnxRuntimeEngine

        started = OnnxRuntimeEngine(path, precision=precision, device=device)
    else:
        from rapidseg.runtime.engines.openvino import OpenVinoEngine

        started = OpenVinoEngine(path, spec, precision=precision, device=device)
    started.choice = "; ".join(reasons)
    return started


def _check(what: str, value: str, allowed: tuple[str, ...]) -> None:
    if value != "auto" and value not in allowed:
        raise EngineError(
            f"{what} {value!r} is unknown; allowed are auto, {', '.join(allowed)}{nearest_hint(value, allowed)}"
        )


__all__ = ["ENGINES", "PRECISIONS", "Engine", "create_engine"]

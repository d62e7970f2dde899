"""Which precision, device and engine are taken where nobody asks for one, and why, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rapidseg.core.spec import ModelSpec
from rapidseg.system.gpu import find_gpu

# `auto` leaves float32 only for a precision with which at least this share of pixels keeps the class of float32.
MIN_AGREEMENT = 0.995

_FOR_DEVICE = {"cuda": "torch", "tensorrt": "onnxruntime"}  # the engine of a device; OpenVINO has all others
_REASONS = {
    "openvino": "OpenVINO, the fastest on CPUs",
    "torch": "PyTorch, for NVIDIA GPUs",
    "onnxruntime": "ONNX Runtime, for TensorRT",
}


def choose_precision(spec: ModelSpec, precision: str, *, native: Sequence[str]) -> tuple[str, str]:
    """Says what a file's floating-point numbers are computed in, and why.

    Where nobody asks for a precision, the first of `native` is taken for which it was measured at export that at least
    `MIN_AGREEMENT` of the pixels keep the class of float32. In an INT8 file this holds for what is not INT8.

    Args:
        spec: what the file says about itself.
        precision: one of `PRECISIONS`, or "auto".
        native: what engine and device compute in by themselves beside float32, the fastest first.

    Returns:
        "float32", "bf16" or "fp16", and the reason in words.
    """
    if precision not in ("auto", "int8"):
        return precision, f"{precision}, as asked"
    floats, reasons = "float32", []
    for one in native:
        share = spec.precisions.get(one)
        if share is None:
            reasons.append(f"the file does not say how many pixels keep their class in {one}")
            continue
        only = "" if share >= MIN_AGREEMENT else "only "
        reasons.append(
            f"in {one} {only}{100 * share:.2f} % of pixels keep their class, {100 * MIN_AGREEMENT:.1f} % must"
        )
        if share >= MIN_AGREEMENT:
            floats, reasons = one, reasons[-1:]
            break
    reason = ", and ".join(reasons) or "engine and device compute in no faster one"
    if spec.quantization is not None:
        return floats, f"int8, which the file is in, and {floats} for the rest, since {reason}"
    return floats, f"{floats}, since {reason}"


@dataclass(frozen=True)
class Choice:
    """What runs a file, and where.

    Attributes:
        engine, device: their names.
        why_engine, why_device: the reasons in words.
        warning: what whoever asked for nothing must be told: a GPU is there but is not used, and what to do about it.
    """

    engine: str
    device: str
    why_engine: str
    why_device: str
    warning: str | None = None


def choose_engine(spec: ModelSpec, engine: str, device: str) -> Choice:
    """Says which engine runs a file on which device, and why.

    An NVIDIA GPU is taken where there is one. Where it cannot be used, or not for this file, the choice says so: nobody
    is left on a slower device without a word.

    Args:
        spec: what the file says about itself.
        engine: one of `ENGINES`, or "auto".
        device: in small letters, or "auto".
    """
    named = engine if engine != "auto" else _FOR_DEVICE.get(device.partition(":")[0], "openvino")
    why_engine = f"{engine}, as asked" if engine != "auto" else _REASONS[named]
    if device != "auto":
        return Choice(named, device, why_engine, f"on {device}, as asked")
    if engine not in ("auto", "torch"):  # the others are taken for a GPU only where somebody asks for it
        return Choice(named, "cpu", why_engine, "on the CPU")
    gpu = find_gpu()
    if gpu is None:
        return Choice(named, "cpu", why_engine, "on the CPU")
    obstacle = gpu.obstacle
    if obstacle is None and spec.quantization is not None:
        obstacle = "PyTorch runs no INT8 files; the file that this one was made from runs on the GPU"
    if obstacle is not None:
        warning = f"the NVIDIA GPU is not used: {obstacle}"
        return Choice(named, "cpu", why_engine, f"on the CPU, since {warning}", warning)
    if engine == "auto":
        named, why_engine = "torch", _REASONS["torch"]
    return Choice(named, "cuda", why_engine, f"on the {gpu.name}")

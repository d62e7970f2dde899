"""Selects engine, device and precision where the caller passes "auto", and says why in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rapidseg.core.spec import ModelSpec
from rapidseg.system.gpu import find_gpu

# `auto` leaves float32 only for a precision that agrees with it on at least this share of pixels.
AUTO_PRECISION_MIN_AGREEMENT = 0.995

_ENGINE_OF_DEVICE = {"cuda": "torch", "tensorrt": "onnxruntime"}  # all other devices belong to OpenVINO
_REASONS = {
    "openvino": "OpenVINO, the fastest on CPUs",
    "torch": "PyTorch, for NVIDIA GPUs",
    "onnxruntime": "ONNX Runtime, for TensorRT",
}


def choose_precision(spec: ModelSpec, precision: str, *, native: Sequence[str]) -> tuple[str, str]:
    """Selects the floating-point precision in which a model is computed, and says why.

    With "auto" this is the first of `native` that agrees with float32 on at least `AUTO_PRECISION_MIN_AGREEMENT` of
    the pixels, as measured when the model was exported. In an INT8 model it applies to the layers that are not INT8.

    Args:
        spec: the specification of the model file.
        precision: one of `PRECISIONS`, or "auto".
        native: precisions besides float32 that engine and device compute in natively, the fastest first.

    Returns:
        "float32", "bf16" or "fp16", and the reason in words.
    """
    if precision not in ("auto", "int8"):
        return precision, f"{precision}, as requested"
    selected, reasons = "float32", []
    for candidate in native:
        share = spec.precisions.get(candidate)
        if share is None:
            reasons.append(f"the model file does not say how well {candidate} agrees with float32")
            continue
        is_enough = share >= AUTO_PRECISION_MIN_AGREEMENT
        reasons.append(
            f"{candidate} agrees with float32 on {'' if is_enough else 'only '}{100 * share:.2f} % of pixels "
            f"(threshold {100 * AUTO_PRECISION_MIN_AGREEMENT:.1f} %)"
        )
        if is_enough:
            selected, reasons = candidate, reasons[-1:]
            break
    reason = ", and ".join(reasons) or "this engine and device have no faster precision"
    if spec.quantization is not None:
        return selected, f"int8 as in the model file, and {selected} for the other layers, since {reason}"
    return selected, f"{selected}, since {reason}"


@dataclass(frozen=True)
class Choice:
    """Which engine runs a model file on which device.

    Attributes:
        engine, device: their names.
        why_engine, why_device: the reasons in words.
        warning: what a caller who passed "auto" must be told: a GPU is present but not used, and what to do about it.
    """

    engine: str
    device: str
    why_engine: str
    why_device: str
    warning: str | None = None

    def explain(self, why_precision: str) -> str:
        """Returns the reasons for engine, precision and device as one sentence."""
        return f"{self.why_engine}; {why_precision}; {self.why_device}"


def choose_engine(spec: ModelSpec, engine: str, device: str) -> Choice:
    """Selects the engine that runs a model file and its device, and says why.

    "auto" selects an NVIDIA GPU where there is one. Where it cannot be used, or not for this model, the choice carries
    a warning, so that nobody runs on a slower device unknowingly.

    Args:
        spec: the specification of the model file.
        engine: one of `ENGINES`, or "auto".
        device: in lower case, or "auto".
    """
    named = engine if engine != "auto" else _ENGINE_OF_DEVICE.get(device.partition(":")[0], "openvino")
    why_engine = f"{engine}, as requested" if engine != "auto" else _REASONS[named]
    if device != "auto":
        return Choice(named, device, why_engine, f"on {device}, as requested")
    if engine not in ("auto", "torch"):  # other engines use a GPU only on request
        return Choice(named, "cpu", why_engine, "on the CPU")
    gpu = find_gpu()
    if gpu is None:
        return Choice(named, "cpu", why_engine, "on the CPU")
    obstacle = gpu.obstacle
    if obstacle is None and spec.quantization is not None:
        obstacle = "PyTorch cannot run INT8 models; the model that this one was quantized from runs on the GPU"
    if obstacle is not None:
        warning = f"the NVIDIA GPU is not used: {obstacle}"
        return Choice(named, "cpu", why_engine, f"on the CPU, since {warning}", warning)
    if engine == "auto":
        named, why_engine = "torch", _REASONS["torch"]
    return Choice(named, "cuda", why_engine, f"on the {gpu.name}")

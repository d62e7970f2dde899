"""Devices of PyTorch: which there are, and what they compute in."""

from __future__ import annotations

import torch

from rapidseg.core.errors import EngineError


def find_device(name: str, precision: str) -> torch.device:
    """Returns a device that is there and computes in `precision`.

    Args:
        name: "cpu", "cuda" (PyTorch's current one) or "cuda:1".
        precision: "float32", "fp16" or "bf16".

    Raises:
        EngineError: it is not there, or does not.
    """
    kind, _, number = name.partition(":")
    if name == "cpu":  # in fp16 and bf16 slowly, for comparison
        return torch.device("cpu")
    found = found_devices()
    if kind != "cuda" or (number and not number.isdecimal()) or not found[1:]:
        raise EngineError(f"PyTorch finds no device {name!r} here; there is: {', '.join(found)}{_why()}")
    reason = why_no_gpu()
    if reason is not None:
        raise EngineError(f"device {name!r} cannot be used. {reason}")
    device = torch.device("cuda", int(number) if number else torch.cuda.current_device())
    if str(device) not in found:
        raise EngineError(f"PyTorch finds no device {name!r} here; there is: {', '.join(found)}")
    if precision == "bf16" and not computes_in_bf16(name):
        raise EngineError(f"{torch.cuda.get_device_name(device)} does not compute in bf16; take fp16 or float32")
    return device


def found_devices() -> list[str]:
    """Returns the names of all devices, the CPU first."""
    return ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]


def gpu_name(name: str) -> str:
    """Returns what a GPU that is there calls itself."""
    return str(torch.cuda.get_device_name(torch.device(name)))


def computes_in_bf16(name: str) -> bool:
    """Says whether a device that is there computes in bf16 by itself: GPUs from Ampere on (compute capability 8.0)."""
    return name != "cpu" and torch.cuda.get_device_capability(torch.device(name)) >= (8, 0)


def why_no_gpu() -> str | None:
    """Returns why PyTorch can use no GPU of this machine, or None where it can."""
    if torch.version.cuda is None:
        return f"PyTorch {torch.__version__} was built without CUDA; install a build for CUDA (pytorch.org says how)"
    if not torch.cuda.is_available():
        return f"PyTorch {torch.__version__}, built for CUDA {torch.version.cuda}, finds no GPU; update its driver"
    try:
        torch.zeros(1, device="cuda").add_(1).item()
    except RuntimeError as error:  # a GPU that this build was not made for, or one that is in use by another alone
        return f"PyTorch {torch.__version__} cannot compute on it: {str(error).strip().splitlines()[0]}"
    return None


def _why() -> str:
    reason = why_no_gpu()
    return "" if reason is None else f". {reason}"

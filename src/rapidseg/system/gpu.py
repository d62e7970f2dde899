"""Whether an NVIDIA GPU may be used here, found out without loading anything where there is none."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path

# What NVIDIA's driver makes on Linux; where a container hides the first, the device that all programs open; and what it
# puts into Linux on Windows.
_LINUX_DRIVER = (Path("/proc/driver/nvidia/gpus"), Path("/dev/nvidiactl"), Path("/usr/lib/wsl/lib/nvidia-smi"))
_WINDOWS_DRIVER = "nvcuda.dll"


@dataclass(frozen=True)
class FoundGpu:
    """An NVIDIA GPU, as far as this installation can use it.

    Attributes:
        name: what it calls itself, such as "NVIDIA H200"; None where PyTorch cannot use it.
        has_bf16: whether it computes in bf16 by itself.
        obstacle: why it cannot be used, and what to do; None where it can.
    """

    name: str | None
    has_bf16: bool
    obstacle: str | None


def has_driver() -> bool:
    """Says whether the driver of an NVIDIA GPU is at work here."""
    if sys.platform == "win32":
        from ctypes.util import find_library

        return find_library(_WINDOWS_DRIVER) is not None
    return any(path.exists() for path in _LINUX_DRIVER)


def find_gpu(device: str = "cuda") -> FoundGpu | None:
    """Returns what is known of an NVIDIA GPU, or None where there is no driver for one.

    PyTorch is imported only where there is a driver: it takes seconds.

    Args:
        device: "cuda" or "cuda:1".
    """
    if not has_driver():
        return None
    for package in ("torch", "onnx"):
        if importlib.util.find_spec(package) is None:
            return FoundGpu(
                None, False, f"{package} is not installed; with a build for CUDA, pip install 'rapidseg[nvidia]'"
            )
    from rapidseg.system import torch_devices as devices

    obstacle = devices.why_no_gpu()
    if obstacle is not None:
        return FoundGpu(None, False, obstacle)
    return FoundGpu(devices.gpu_name(device), devices.computes_in_bf16(device), None)

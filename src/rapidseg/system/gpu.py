"""NVIDIA GPUs: what the driver lists, what PyTorch can use, and why a GPU is not used.

Nothing is imported where no driver is installed: PyTorch takes seconds to import.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rapidseg.core.errors import EngineError
from rapidseg.core.extras import install_hint, is_installed

if TYPE_CHECKING:
    import torch

# What NVIDIA's driver creates on Linux; where a container hides the first, the device that all programs open; and the
# driver that Windows shares with its Linux subsystem.
LINUX_DRIVER_FILES = (Path("/proc/driver/nvidia/gpus"), Path("/dev/nvidiactl"), Path("/usr/lib/wsl/lib/nvidia-smi"))
_WINDOWS_DRIVER = "nvcuda.dll"


@dataclass(frozen=True)
class Gpu:
    """An NVIDIA GPU, as far as this installation can use it.

    Attributes:
        name: such as "NVIDIA H200"; None where PyTorch cannot use it.
        has_bf16: whether it computes in bf16 natively.
        obstacle: why it cannot be used, and what to do; None where it can.
    """

    name: str | None
    has_bf16: bool
    obstacle: str | None


@dataclass(frozen=True)
class DriverGpu:
    """A GPU as the driver lists it.

    Attributes:
        name: such as "NVIDIA H200".
        memory_bytes: its memory.
        driver: the driver's version.
    """

    name: str
    memory_bytes: int
    driver: str


@dataclass(frozen=True)
class TorchBuild:
    """The installed PyTorch.

    Attributes:
        version: of PyTorch.
        cuda: the CUDA version that it was built for; None where it was built without CUDA.
        devices: names of the GPUs that it can use.
    """

    version: str
    cuda: str | None
    devices: tuple[str, ...]


@dataclass(frozen=True)
class Gpus:
    """All NVIDIA GPUs of this machine.

    Attributes:
        driver: the GPUs that the driver lists; None where the list cannot be read.
        unlisted: why the list cannot be read, and what to do; None where it can, or where no driver is installed.
        torch: the installed PyTorch; None where it is not installed or cannot be imported.
        obstacle: why a GPU is not used; None where it is used, or where no driver is installed.
    """

    driver: tuple[DriverGpu, ...] | None
    unlisted: str | None
    torch: TorchBuild | None
    obstacle: str | None


def has_driver(files: Sequence[Path] = LINUX_DRIVER_FILES) -> bool:
    """Returns whether the driver of an NVIDIA GPU is running.

    Args:
        files: any of these shows that it is; not looked at on Windows.
    """
    if sys.platform == "win32":
        from ctypes.util import find_library

        return find_library(_WINDOWS_DRIVER) is not None
    return any(path.exists() for path in files)


def find_gpu(device: str = "cuda", *, driver_files: Sequence[Path] = LINUX_DRIVER_FILES) -> Gpu | None:
    """Returns what is known about an NVIDIA GPU, or None where no driver for one is installed.

    Args:
        device: "cuda" or "cuda:1".
        driver_files: as for `has_driver`.
    """
    if not has_driver(driver_files):
        return None
    for package in ("torch", "onnx"):
        if not is_installed(package):
            return Gpu(None, False, f"{package} is not installed; {install_hint('nvidia')}, with a build for CUDA")
    try:
        obstacle = why_no_gpu()
    except Exception as error:  # broken packages raise errors of any type
        return Gpu(None, False, f"PyTorch cannot be imported: {error}; `rapidseg doctor` says what to do")
    if obstacle is not None:
        return Gpu(None, False, obstacle)
    return Gpu(gpu_name(device), gpu_computes_in_bf16(device), None)


def find_gpus(*, driver_files: Sequence[Path] = LINUX_DRIVER_FILES) -> Gpus:
    """Lists NVIDIA GPUs.

    Args:
        driver_files: as for `has_driver`.
    """
    gpu = find_gpu(driver_files=driver_files)
    try:
        build = torch_build()
    except Exception:  # as in `find_gpu`
        build = None
    if gpu is None:
        return Gpus((), None, build, None)
    listed = list_driver_gpus()
    unlisted = None
    if listed is None:
        unlisted = "NVIDIA's management library does not answer"
        if not is_installed("pynvml"):
            unlisted = f"nvidia-ml-py is not installed; {install_hint('nvidia')}"
    return Gpus(listed, unlisted, build, gpu.obstacle)


def list_driver_gpus() -> tuple[DriverGpu, ...] | None:
    """Returns the GPUs that the driver lists; None without the package nvidia-ml-py, or where the driver fails."""
    with open_nvml() as nvml:
        if nvml is None:
            return None
        try:
            version = str(nvml.nvmlSystemGetDriverVersion())
            handles = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())]
            return tuple(
                DriverGpu(str(nvml.nvmlDeviceGetName(handle)), int(nvml.nvmlDeviceGetMemoryInfo(handle).total), version)
                for handle in handles
            )
        except nvml.NVMLError:
            return None


@contextlib.contextmanager
def open_nvml() -> Iterator[Any]:
    """Gives the module `pynvml`, NVIDIA's management library, ready for use within the block.

    Gives None without the package nvidia-ml-py, and where the driver does not answer.
    """
    try:
        import pynvml
    except Exception:  # missing, or broken in one of many ways
        yield None
        return
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        yield None
        return
    try:
        yield pynvml
    finally:
        with contextlib.suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()


def torch_build() -> TorchBuild | None:
    """Describes the installed PyTorch; None where it is not installed.

    Raises:
        ImportError, OSError: it is installed but cannot be imported.
    """
    if not is_installed("torch"):
        return None
    import torch

    devices = tuple(torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count()))
    return TorchBuild(torch.__version__, torch.version.cuda, devices)


def find_device(name: str, precision: str) -> torch.device:
    """Returns a device of PyTorch that is available and computes in `precision`.

    Args:
        name: "cpu", "cuda" (PyTorch's current GPU) or "cuda:1".
        precision: "float32", "fp16" or "bf16".

    Raises:
        EngineError: the device is not available, or does not compute in the precision.
    """
    import torch

    if name == "cpu":  # fp16 and bf16 are slow there, but can be compared
        return torch.device("cpu")
    kind, _, number = name.partition(":")
    available = available_devices()
    if kind != "cuda" or (number and not number.isdecimal()) or not available[1:]:
        reason = why_no_gpu()
        details = "" if reason is None else f". {reason}"
        raise EngineError(f"PyTorch: device {name!r} not found; available: {', '.join(available)}{details}")
    reason = why_no_gpu()
    if reason is not None:
        raise EngineError(f"device {name!r} cannot be used. {reason}")
    device = torch.device("cuda", int(number) if number else torch.cuda.current_device())
    if str(device) not in available:
        raise EngineError(f"PyTorch: device {name!r} not found; available: {', '.join(available)}")
    if precision == "bf16" and not gpu_computes_in_bf16(name):
        raise EngineError(f"{torch.cuda.get_device_name(device)} does not compute in bf16; use fp16 or float32")
    return device


def available_devices() -> list[str]:
    """Returns the names of PyTorch's devices, such as "cuda:0", the CPU first."""
    import torch

    return ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]


def gpu_name(name: str) -> str:
    """Returns the product name of an available GPU, such as "NVIDIA H200"."""
    import torch

    return str(torch.cuda.get_device_name(torch.device(name)))


def gpu_computes_in_bf16(name: str) -> bool:
    """Returns whether an available device computes in bf16 natively: GPUs of compute capability 8.0 (Ampere) and up."""
    import torch

    return name != "cpu" and torch.cuda.get_device_capability(torch.device(name)) >= (8, 0)


def why_no_gpu() -> str | None:
    """Returns why PyTorch cannot use any GPU of this machine, or None where it can."""
    import torch

    if torch.version.cuda is None:
        return f"PyTorch {torch.__version__} was built without CUDA; install a build for CUDA (see pytorch.org)"
    if not torch.cuda.is_available():
        return f"PyTorch {torch.__version__}, built for CUDA {torch.version.cuda}, finds no GPU; update the driver"
    try:
        torch.zeros(1, device="cuda").add_(1).item()
    except RuntimeError as error:  # this build does not support the GPU, or another process has it for itself
        return f"PyTorch {torch.__version__} cannot compute on the GPU: {str(error).strip().splitlines()[0]}"
    return None

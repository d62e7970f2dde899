"""Main memory of this machine, and the most memory that this process has used."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from rapidseg.system import cgroup
from rapidseg.system.cgroup import Cgroups
from rapidseg.system.gpu import open_nvml

_STATUS = Path("/proc/self/status")
_MEMINFO = Path("/proc/meminfo")


def memory_bytes(cgroups: Cgroups | None = None) -> int | None:
    """Returns the size of main memory in bytes, or a container's limit where that is lower; None where unknown.

    Args:
        cgroups: where to read the limit; None: from this system.
    """
    if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
        return None
    cgroups = cgroups or cgroup.SYSTEM_CGROUPS
    limits = [*cgroups.read("memory.max"), *cgroups.read_v1("memory", "memory.limit_in_bytes")]
    installed = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([installed, *(int(limit) for limit in limits if limit.isdecimal())])


def peak_memory_bytes() -> int | None:
    """Returns the largest resident set size of this process so far, in bytes; None where unknown.

    `getrusage` does not help on Linux: it includes the memory that the parent used when it started this process.
    """
    if _STATUS.exists():
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        return None
    if sys.platform == "darwin":
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return None


def peak_gpu_memory_bytes() -> int | None:
    """Returns the most memory that this process has used on NVIDIA GPUs, in bytes; None where unknown or none.

    PyTorch counts its own. Other engines keep what they once allocated, so the driver's figure at the end is the peak;
    reading it needs the package nvidia-ml-py.
    """
    torch = sys.modules.get("torch")  # never imported for this: the engine has imported it, or does not use it
    if torch is not None and torch.cuda.is_initialized():
        # The memory of its allocator, CUDA graphs included; without that of libraries and the context.
        return sum(int(torch.cuda.max_memory_reserved(index)) for index in range(torch.cuda.device_count()))
    with open_nvml() as nvml:
        if nvml is None:
            return None
        try:
            handles = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())]
            processes = [process for handle in handles for process in nvml.nvmlDeviceGetComputeRunningProcesses(handle)]
        except nvml.NVMLError:
            return None
        # The driver does not tell the memory of single processes on every system.
        return sum(process.usedGpuMemory or 0 for process in processes if process.pid == os.getpid()) or None


def available_memory_bytes() -> int | None:
    """Returns the main memory that a process can still get, swap included, in bytes; None where unknown.

    A container's limit is an upper bound: what its processes have of it is not subtracted, since much of that is files
    that the system would drop.
    """
    try:
        lines = _MEMINFO.read_text().splitlines()
        values = {name: int(rest.split()[0]) * 1024 for name, _, rest in (line.partition(":") for line in lines)}
        free = values["MemAvailable"] + values.get("SwapFree", 0)
    except (OSError, ValueError, IndexError, KeyError):
        return memory_bytes()
    limit = memory_bytes()
    return free if limit is None else min(free, limit)

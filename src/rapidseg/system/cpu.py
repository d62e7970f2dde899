"""The processor: what it is called, what it can do, and how many CPUs this process may use."""

from __future__ import annotations

import functools
import math
import os
import platform
import sys
from pathlib import Path

from rapidseg.system import cgroup
from rapidseg.system.cgroup import Cgroups

# The features that decide the speed of a network on a CPU: LLVM's names of them, and Linux's in /proc/cpuinfo.
_FEATURES = {
    "AVX2": ("avx2",),
    "AVX-512": ("avx512f",),
    "VNNI": ("avx512vnni", "avxvnni", "avx512_vnni", "avx_vnni"),
    "BF16": ("avx512bf16", "bf16", "avx512_bf16"),
    "AMX": ("amx-bf16", "amx-int8", "amx_bf16", "amx_int8"),
    "NEON": ("neon", "asimd"),
}
_CPU_INFO = Path("/proc/cpuinfo")


def cpu_count(cgroups: Cgroups | None = None) -> int:
    """Returns how many CPUs this process may use: the size of every pool of threads or processes.

    The lower of two limits counts: the CPUs that the process may run on (its affinity), and the CPU time that a
    container grants (its quota), in CPUs and rounded up. The quota is read once per process.

    Args:
        cgroups: where to read the quota; None: from this system.
    """
    limit = thread_limit(cgroups)
    return limit or affinity_count()


def thread_limit(cgroups: Cgroups | None = None) -> int:
    """Returns the number of threads that a container's quota allows, or 0 where no quota is below the affinity.

    0 also means "decide yourself" to OpenVINO and ONNX Runtime. Libraries read the affinity, but not the quota: in a
    container with the time of 2 CPUs on a machine with 64 they start 64 threads, which then wait for each other.
    """
    quota = _read_quota_once(cgroups or cgroup.SYSTEM_CGROUPS)
    if quota is None:
        return 0
    allowed = max(1, math.ceil(quota))
    return allowed if allowed < affinity_count() else 0


def affinity_count() -> int:
    """Returns how many CPUs this process may run on, whatever time it gets there."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cpu_quota(cgroups: Cgroups | None = None) -> float | None:
    """Returns how many CPUs' worth of time a container grants, such as 1.5; None where there is no quota.

    Both versions of control groups are read: `cpu.max`, and `cpu.cfs_quota_us` with `cpu.cfs_period_us`.
    """
    cgroups = cgroups or cgroup.SYSTEM_CGROUPS
    entries = [text.split() for text in cgroups.read("cpu.max")]  # "150000 100000", or "max 100000"
    quotas = cgroups.read_v1("cpu", "cpu.cfs_quota_us")  # "150000", or "-1"
    periods = cgroups.read_v1("cpu", "cpu.cfs_period_us")
    entries += [[quota, period] for quota, period in zip(quotas, periods, strict=False)]
    granted = [
        int(entry[0]) / int(entry[1])
        for entry in entries
        if len(entry) == 2 and all(number.isdecimal() and int(number) > 0 for number in entry)
    ]
    return min(granted, default=None)


def limit_library_threads() -> None:
    """Lowers the thread counts of OpenCV and PyTorch, where they are loaded, to a container's quota.

    Nothing changes where no quota is below the affinity. A count that the user set for PyTorch in the environment
    stays as it is.
    """
    limit = thread_limit()
    if not limit:
        return
    cv2, torch = sys.modules.get("cv2"), sys.modules.get("torch")
    if cv2 is not None and cv2.getNumThreads() > limit:
        cv2.setNumThreads(limit)
    chosen_by_user = any(name in os.environ for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"))
    if torch is not None and not chosen_by_user and torch.get_num_threads() > limit:
        torch.set_num_threads(limit)


def cpu_identity() -> str:
    """Returns a text that differs between processors for which code is compiled differently."""
    return _read_cpu_info("flags", "Features") or f"{platform.machine()} {platform.processor()}"


def cpu_name() -> str:
    """Returns the processor's name, from OpenVINO, which asks the processor itself on every system, where it works."""
    try:
        import openvino

        core = openvino.Core()
        if "CPU" in core.available_devices:
            return str(core.get_property("CPU", "FULL_DEVICE_NAME"))
    except Exception:  # a broken installation fails in ways of its own, and the name is only for people to read
        pass
    _, _, name = _read_cpu_info("model name").partition(":")
    return name.strip() or platform.processor() or platform.machine()


def cpu_features() -> tuple[str, ...]:
    """Returns the detected instruction sets that matter for the speed of networks, such as AVX2."""
    try:
        from llvmlite import binding  # Numba needs it

        host: dict[str, bool] = binding.get_host_cpu_features()
        features = {name for name, available in host.items() if available}
    except Exception:  # as in `cpu_name`
        features = set(cpu_identity().split())
    return tuple(name for name, spellings in _FEATURES.items() if features.intersection(spellings))


@functools.cache
def _read_quota_once(cgroups: Cgroups) -> float | None:
    return cpu_quota(cgroups)  # `cpu_count` is called for every image


def _read_cpu_info(*keys: str) -> str:
    """Returns the first line of /proc/cpuinfo that starts with one of the keys, or an empty text."""
    try:
        with _CPU_INFO.open(encoding="utf-8") as file:
            return next((line for line in file if line.startswith(keys)), "")
    except OSError:
        return ""

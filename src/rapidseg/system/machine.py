"""The machine: processor, memory, and how much of them this process may use."""

from __future__ import annotations

import math
import os
import platform
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from rapidseg.system.cpu import cpu_count

# What decides the speed of a network on a CPU, and LLVM's names of it.
_FEATURES = {
    "AVX2": ("avx2",),
    "AVX-512": ("avx512f",),
    "VNNI": ("avx512vnni", "avxvnni"),
    "BF16": ("avx512bf16", "bf16"),
    "AMX": ("amx-bf16", "amx-int8"),
    "NEON": ("neon",),
}
_CGROUP = Path("/sys/fs/cgroup")


class Machine(BaseModel):
    """What figures were measured on, as far as it matters for them.

    Attributes:
        cpu: the processor's name.
        cpus: how many of them this process may use.
        cpu_quota: processors' worth of time that a container grants; None without such a limit.
        features: instruction sets that decide the speed of networks.
        memory_bytes: main memory, or what a container grants of it; None where the system does not tell.
        system: operating system and architecture.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    cpu: str
    cpus: int
    cpu_quota: float | None
    features: tuple[str, ...]
    memory_bytes: int | None
    system: str

    def to_dict(self) -> dict[str, Any]:
        """Returns everything for JSON."""
        return self.model_dump(mode="json")


def find_machine() -> Machine:
    """Describes the machine that this process runs on."""
    return Machine(
        cpu=_cpu_name(),
        cpus=cpu_count(),
        cpu_quota=_cpu_quota(),
        features=_cpu_features(),
        memory_bytes=_memory_bytes(),
        system=f"{platform.system()} {platform.machine()}",
    )


def _cpu_name() -> str:
    import openvino  # it asks the processor itself, on every system

    core = openvino.Core()
    if "CPU" in core.available_devices:
        return str(core.get_property("CPU", "FULL_DEVICE_NAME"))
    return platform.processor() or platform.machine()


def _cpu_features() -> tuple[str, ...]:
    from llvmlite import binding  # which Numba brings

    has = binding.get_host_cpu_features()
    return tuple(name for name, words in _FEATURES.items() if any(has.get(word) for word in words))


def _cpu_quota() -> float | None:
    """Returns what `cpu.max` of control groups grants: microseconds of CPU in each period."""
    quota, _, period = _cgroup_entry("cpu.max").partition(" ")
    return int(quota) / int(period) if quota.isdecimal() and period.isdecimal() else None


def _memory_bytes() -> int | None:
    if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
        return None
    installed = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    granted = _cgroup_entry("memory.max")
    return int(min(installed, int(granted) if granted.isdecimal() else math.inf))


def _cgroup_entry(name: str) -> str:
    try:
        return (_CGROUP / name).read_text().strip()
    except OSError:
        return ""

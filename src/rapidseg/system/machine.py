"""The machine as a whole: what figures were measured on."""

from __future__ import annotations

import platform
from typing import Any

from pydantic import BaseModel, ConfigDict

from rapidseg.system.cgroup import Cgroups
from rapidseg.system.cpu import affinity_count, cpu_features, cpu_name, cpu_quota
from rapidseg.system.memory import memory_bytes


class Machine(BaseModel):
    """What decides how fast a network runs on a CPU.

    Attributes:
        cpu: the processor's name.
        cpus: how many CPUs this process may run on.
        cpu_quota: how many CPUs' worth of time a container grants; None without such a quota.
        features: instruction sets that decide the speed of networks.
        memory_bytes: main memory, or a container's limit where that is lower; None where unknown.
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


def find_machine(cgroups: Cgroups | None = None) -> Machine:
    """Describes the machine that this process runs on.

    Args:
        cgroups: where to read a container's limits; None: from this system.
    """
    return Machine(
        cpu=cpu_name(),
        cpus=affinity_count(),
        cpu_quota=cpu_quota(cgroups),
        features=cpu_features(),
        memory_bytes=memory_bytes(cgroups),
        system=f"{platform.system()} {platform.machine()}",
    )

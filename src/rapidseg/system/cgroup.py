"""Limits that Linux control groups (cgroups) set: how containers and services are kept to a part of a machine.

A process belongs to one cgroup of version 2, and to one of version 1 for each controller. Every cgroup above it limits
it as well, so the tightest limit counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath


@dataclass(frozen=True)
class Cgroups:
    """Where the kernel shows the cgroups of this process.

    Attributes:
        root: where cgroup file systems are mounted.
        membership: the file that names this process's own cgroups.
    """

    root: Path = Path("/sys/fs/cgroup")
    membership: Path = Path("/proc/self/cgroup")

    def read(self, file: str) -> Iterator[str]:
        """Yields the content of a version 2 file, such as `cpu.max`, in this process's cgroup and those above it."""
        own = self._own_cgroup("")
        for mount in (self.root, self.root / "unified"):  # the second where both versions are in use
            yield from _read_upwards(mount, own, file)

    def read_v1(self, controller: str, file: str) -> Iterator[str]:
        """Yields the content of a version 1 file, such as `cpu.cfs_quota_us`, in the same cgroups as `read`."""
        own = self._own_cgroup(controller)
        yield from _read_upwards(self.root / controller, own, file)

    def _own_cgroup(self, controller: str) -> PurePosixPath:
        """Returns this process's cgroup below the mount; `controller` is empty for version 2."""
        try:
            lines = self.membership.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError):
            lines = []
        for line in lines:
            _, _, rest = line.partition(":")  # 4:cpu,cpuacct:/docker/0123, or 0::/user.slice for version 2
            controllers, _, path = rest.partition(":")
            if controller in controllers.split(",") and ".." not in PurePosixPath(path).parts:
                return PurePosixPath(path.lstrip("/"))
        return PurePosixPath()


SYSTEM_CGROUPS = Cgroups()


def _read_upwards(mount: Path, cgroup: PurePosixPath, file: str) -> Iterator[str]:
    # A container may see only its own cgroup, mounted as the root, but read the host's path of it: then only the root
    # has the file.
    for folder in (cgroup, *cgroup.parents) if cgroup.parts else (cgroup,):
        try:
            yield (mount / folder / file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            continue

"""Process settings that make training on a CPU several times faster. Nothing here imports PyTorch."""

from __future__ import annotations

import ctypes
import os
import platform
import sys

# Numbers of glibc's mallopt(3).
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3


def let_waiting_threads_sleep() -> bool:
    """Makes waiting OpenMP threads sleep instead of spin.

    PyTorch's threads synchronize hundreds of times per step. By default they spin while they wait, which is fastest on
    an idle machine. But the workers that augment images need the same cores, and spinning threads then keep the thread
    they wait for off its core. `docs/performance.md` has the measurement. An `OMP_WAIT_POLICY` that the user has set is
    kept.

    Returns:
        Whether it took effect: OpenMP reads the setting once, when PyTorch is imported.
    """
    if "torch" in sys.modules:
        return False
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    return True


def keep_freed_memory() -> bool:
    """Makes glibc reuse large freed blocks instead of returning them to the system.

    A training step allocates the same activations, of tens of megabytes each, again and again. By default glibc maps
    each of them anew and the kernel clears every page, which can take as long as the convolutions
    (`docs/decisions/0003-memory-allocation-in-cpu-training.md`). The setting holds until the process ends, and the
    process keeps its peak memory.

    Returns:
        Whether it took effect: only glibc on Linux has the setting.
    """
    if platform.system() != "Linux" or platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(_M_MMAP_THRESHOLD, 1 << 30)) and bool(mallopt(_M_TRIM_THRESHOLD, 2**31 - 1))

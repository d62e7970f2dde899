"""Settings of the process that make training on a CPU several times faster. Nothing here imports PyTorch."""

from __future__ import annotations

import ctypes
import os
import platform
import sys

# Numbers of glibc's mallopt(3).
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3


def let_waiting_threads_sleep() -> bool:
    """Tells OpenMP that a thread which waits for the others shall sleep instead of spinning.

    PyTorch's threads meet hundreds of times in a step. By default they spin while they wait, which is best if nothing
    else runs; but workers that augment samples run on the same cores, and then the threads spin while the one that
    they wait for is not let onto a core. `docs/training.md` has the measurement. A value of `OMP_WAIT_POLICY` that the
    user set is left as it is.

    Returns:
        Whether it was done: OpenMP reads the setting once, when PyTorch is imported.
    """
    if "torch" in sys.modules:
        return False
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    return True


def keep_freed_memory() -> bool:
    """Tells glibc to reuse large blocks instead of giving them back to the system.

    A training step allocates the same activations, of tens of megabytes each, again and again. By default glibc maps
    each of them afresh and the system clears every page of it, which can cost as much time as the convolutions do
    (`docs/training.md` has the measurement). It holds for the whole process and until its end; the process keeps the
    most memory that it ever needed.

    Returns:
        Whether it was done: only glibc on Linux has the setting.
    """
    if platform.system() != "Linux" or platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(_M_MMAP_THRESHOLD, 1 << 30)) and bool(mallopt(_M_TRIM_THRESHOLD, 2**31 - 1))

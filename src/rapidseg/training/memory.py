"""Lets a training process on a CPU keep the memory it frees."""

from __future__ import annotations

import ctypes
import platform

# Numbers of glibc's mallopt(3).
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3


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

"""The stack on which signal handlers run, large enough for the registers of today's CPUs.

OpenVINO gives the calling thread an alternate signal stack of some 11 KiB, the least that the kernel accepts on a CPU
with AVX-512 and AMX. Python's handlers run on it (`SA_ONSTACK`), and the kernel's frame alone fills it: the first
signal after that, a Ctrl-C or the end of a worker process, ends the program with a segmentation fault.
"""

from __future__ import annotations

import ctypes
import sys

_SIZE = 1 << 18  # bytes; the frame takes 11 KiB with AMX, and handlers of libraries take some more
_ON_STACK, _DISABLED = 1, 2  # flags of sigaltstack(2)
_stacks: list[ctypes.Array[ctypes.c_char]] = []  # in use by the kernel until the process ends


class _Stack(ctypes.Structure):
    """`stack_t` of Linux."""

    _fields_ = (("start", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


def enlarge_signal_stack() -> None:
    """Replaces the calling thread's alternate signal stack if it has one that is too small; only on Linux."""
    if sys.platform != "linux":
        return
    current = _read()
    if current is None or current.flags & (_ON_STACK | _DISABLED) or current.size >= _SIZE:
        return
    stack = ctypes.create_string_buffer(_SIZE)
    replacement = _Stack(ctypes.cast(stack, ctypes.c_void_p), 0, _SIZE)
    if _libc().sigaltstack(ctypes.byref(replacement), None) == 0:
        _stacks.append(stack)


def signal_stack_size() -> int | None:
    """Returns the bytes of the calling thread's alternate signal stack; None where it has none, or not on Linux."""
    current = _read() if sys.platform == "linux" else None
    return None if current is None or current.flags & _DISABLED else int(current.size)


def _read() -> _Stack | None:
    current = _Stack()
    return current if _libc().sigaltstack(None, ctypes.byref(current)) == 0 else None


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)

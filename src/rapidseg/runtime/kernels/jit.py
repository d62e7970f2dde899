"""Compiles inner loops to machine code and runs them on several threads."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numba

from rapidseg.runtime.kernels.jit_cache import JitCache
from rapidseg.system.cache import cache_folder
from rapidseg.system.cpu import cpu_count


def jit_compile(function: Callable[..., None], signature: Any) -> Callable[..., None]:
    """Compiles a function to machine code that runs without Python's global lock.

    Numba compiles it only for the types of its signature, so never again for a new size, and caches the machine code on
    disk for the next process where it can.

    Args:
        function: in the subset of Python that Numba compiles; it writes its result into an argument.
        signature: `numba.void(...)` of the arguments' types.
    """
    dispatcher: Any = numba.njit(nogil=True)(function)
    if not hasattr(dispatcher, "compile"):  # the user has switched Numba off
        return function
    folder = cache_folder("numba")
    if folder is not None:
        dispatcher._cache = JitCache(function, folder)
    dispatcher.compile(signature)
    dispatcher.disable_compile()
    compiled: Callable[..., None] = dispatcher
    return compiled


def parallel_rows(work: Callable[[int, int], None], rows: int, *, max_parts: int) -> None:
    """Calls `work(first, last)` for consecutive parts of the rows, in parallel on all CPUs.

    Args:
        work: processes the rows from `first` up to, not including, `last`.
        rows: number of rows.
        max_parts: into how many parts to split the rows at most; with fewer than 2, `work` runs in this thread.
    """
    parts = min(cpu_count(), rows, max_parts)
    if parts < 2:
        work(0, rows)
        return
    bounds = [rows * part // parts for part in range(parts + 1)]
    futures = [_threads().submit(work, bounds[part], bounds[part + 1]) for part in range(1, parts)]
    work(bounds[0], bounds[1])
    for future in futures:
        future.result()


@functools.cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=cpu_count(), thread_name_prefix="rapidseg-loop")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_threads.cache_clear)  # a forked process has none of these threads

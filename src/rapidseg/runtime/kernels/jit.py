"""Compiles inner loops to machine code and runs them on several threads."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numba

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
    folder = None if os.environ.get("NUMBA_CACHE_DIR") else cache_folder("numba")
    config: Any = numba.config
    before = config.CACHE_DIR
    config.CACHE_DIR = str(folder) if folder else before
    compiled: Callable[..., None]
    try:
        compiled = numba.njit(signature, nogil=True, cache=True)(function)
    except (RuntimeError, OSError):  # the cache is not writable
        compiled = numba.njit(signature, nogil=True)(function)
    finally:
        config.CACHE_DIR = before
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

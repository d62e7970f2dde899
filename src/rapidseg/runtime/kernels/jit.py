"""Inner loops as machine code, and the threads that share their work."""

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
    """Returns a function as machine code that runs beside other threads.

    It is compiled for the types of its signature alone, so never again for a new size, and kept on disk for the next
    process where there is a place for it.

    Args:
        function: what Numba can compile; it writes its result into an argument.
        signature: `numba.void(...)` of the arguments' types.
    """
    folder = None if os.environ.get("NUMBA_CACHE_DIR") else cache_folder("numba")
    config: Any = numba.config
    before = config.CACHE_DIR
    config.CACHE_DIR = str(folder) if folder else before
    compiled: Callable[..., None]
    try:
        compiled = numba.njit(signature, nogil=True, cache=True)(function)
    except (RuntimeError, OSError):  # no place to keep it
        compiled = numba.njit(signature, nogil=True)(function)
    finally:
        config.CACHE_DIR = before
    return compiled


def parallel_rows(work: Callable[[int, int], None], rows: int, *, max_parts: int) -> None:
    """Calls `work(first, last)` for parts of the rows from 0 to `rows`, side by side on all CPUs.

    Args:
        work: does the rows from `first` up to, not including, `last`.
        rows: how many there are.
        max_parts: into how many parts the work is worth being split.
    """
    parts = min(cpu_count(), rows, max_parts)
    if parts < 2:
        work(0, rows)
        return
    bounds = [rows * part // parts for part in range(parts + 1)]
    others = [_threads().submit(work, bounds[part], bounds[part + 1]) for part in range(1, parts)]
    work(bounds[0], bounds[1])
    for other in others:
        other.result()


@functools.cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=cpu_count(), thread_name_prefix="rapidseg-loop")

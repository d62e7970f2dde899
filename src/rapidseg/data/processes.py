"""The same work on many items, in processes."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import TypeVar

import cv2

from rapidseg.core.errors import RapidSegError

Item = TypeVar("Item")
Result = TypeVar("Result")


def run_in_processes(work: Callable[[Item], Result], items: Sequence[Item], workers: int) -> Iterator[Result]:
    """Does the work for each item and gives results as they come, in any order.

    Args:
        work: a function of a module, or a `partial` of one: it is sent to the processes.
        items: what to work on.
        workers: processes; with 1, or one item, the work is done in this process.

    Raises:
        RapidSegError: a process was ended from outside, or whatever `work` raises. What has not begun is left.
    """
    if workers == 1 or len(items) < 2:
        yield from map(work, items)
        return
    # Started afresh, because a forked copy of a process with threads can hang.
    with ProcessPoolExecutor(min(workers, len(items)), get_context("spawn"), _start_worker) as pool:
        try:
            for finished in as_completed([pool.submit(work, item) for item in items]):
                yield finished.result()
        except BrokenProcessPool as error:
            raise RapidSegError(
                "one of the worker processes was ended, which often means that memory ran out; "
                "run the same again with fewer workers: what is done is kept"
            ) from error
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that started it will stop it
    cv2.setNumThreads(1)

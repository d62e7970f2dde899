"""The same work on many items, in threads or in processes."""

from __future__ import annotations

import contextlib
import os
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import TypeVar

from rapidseg.core.child_processes import ItemWork, end_with_parent, safe_start
from rapidseg.core.errors import EngineError, RapidSegError

Item = TypeVar("Item")
Result = TypeVar("Result")

_item_work = ItemWork()  # of this process, where it is a worker
_MAX_AHEAD = 2  # items beyond the number of threads that are started before the first result is needed


def ordered_map(
    function: Callable[[Item], Result], items: Iterable[Item], *, threads: int, wait: bool = True
) -> Generator[Result, None, None]:
    """Yields `function(item)` for each item in order, computed ahead in threads.

    `items` is iterated in the caller's thread, all in one process. At most `threads` + 2 items are in progress. When
    the generator is closed, items that have not started are dropped.

    Args:
        function: called in one of the threads; its exception is raised where its result is due.
        items: what to work on.
        threads: how many items are worked on at once.
        wait: whether closing waits for the items that are being worked on.

    Raises:
        EngineError: the next result is asked for in a forked process, where the threads do not exist.
    """
    process_id = os.getpid()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="rapidseg")
    pending: deque[Future[Result]] = deque()
    try:
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) >= threads + _MAX_AHEAD:
                yield pending.popleft().result()
                _check_process(process_id)
        while pending:
            yield pending.popleft().result()
            _check_process(process_id)
    finally:
        pool.shutdown(wait=wait, cancel_futures=True)


def _check_process(process_id: int) -> None:
    if os.getpid() != process_id:
        raise EngineError(
            "this stream was begun in another process; call rapidseg.load and begin the stream in the worker: process "
            f"{os.getpid()} was forked from {process_id} without its threads; see docs/workers.md"
        )


def unordered_process_map(
    function: Callable[[Item], Result], items: Sequence[Item], *, processes: int
) -> Iterator[Result]:
    """Yields `function(item)` for each item as soon as it is computed, in any order.

    Args:
        function: a function of a module, or a `partial` of one: it is pickled for the processes.
        items: what to work on.
        processes: with 1, or a single item, the work is done in this process.

    Raises:
        RapidSegError: a process was killed. An exception of `function` is raised as it is. In both cases items that
            have not started are dropped.
    """
    if processes == 1 or len(items) < 2:
        yield from map(function, items)
        return
    pool = _start_pool(min(processes, len(items)))
    if pool is None:
        yield from map(function, items)
        return
    with pool:
        try:
            with safe_start(), _main_module_hidden():
                pending = [pool.submit(_work, function, item) for item in items]
            for finished in as_completed(pending):
                yield finished.result()
        except BrokenProcessPool as error:
            raise RapidSegError(
                "a worker process was killed, probably because memory ran out; run the command again with fewer "
                "workers: finished items are kept"
            ) from error
        except BaseException as error:
            if not isinstance(error, Exception):  # Ctrl-C, SIGTERM or an early end: nobody waits for results
                for process in list((pool._processes or {}).values()):
                    process.terminate()
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _start_pool(processes: int) -> ProcessPoolExecutor | None:
    """Returns a pool of processes; None where the system has no semaphores, as in containers without /dev/shm."""
    # "spawn", because a forked copy of a process with threads can hang.
    with safe_start(), contextlib.suppress(OSError, NotImplementedError):
        return ProcessPoolExecutor(processes, get_context("spawn"), _start_process)
    return None


@contextlib.contextmanager
def _main_module_hidden() -> Iterator[None]:
    """Keeps processes that are started in the block from running the user's script again.

    A spawned process imports the program's main module, to find functions in it. Ours are in this package, and a
    script without `if __name__ == "__main__":` would start the work anew in every process.
    """
    main = sys.modules["__main__"]
    hidden = {name: getattr(main, name) for name in ("__file__", "__spec__") if hasattr(main, name)}
    main.__spec__ = None
    if "__file__" in hidden:
        del main.__file__
    try:
        yield
    finally:
        for name, value in hidden.items():
            setattr(main, name, value)


def _start_process() -> None:
    _item_work.handle_signals()
    end_with_parent()

    import cv2

    cv2.setNumThreads(1)


def _work(function: Callable[[Item], Result], item: Item) -> Result:
    with _item_work:
        return function(item)

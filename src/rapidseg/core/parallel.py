"""The same work on many items, in threads or in processes."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import TypeVar

from rapidseg.core.errors import RapidSegError

Item = TypeVar("Item")
Result = TypeVar("Result")

_MAX_AHEAD = 2  # items beyond the number of threads that are started before the first result is needed


def ordered_map(
    function: Callable[[Item], Result], items: Iterable[Item], *, threads: int, wait: bool = True
) -> Generator[Result, None, None]:
    """Yields `function(item)` for each item in order, computed ahead in threads.

    `items` is iterated in the caller's thread. At most `threads` + 2 items are in progress. When the generator is
    closed, items that have not started are dropped.

    Args:
        function: called in one of the threads; its exception is raised where its result is due.
        items: what to work on.
        threads: how many items are worked on at once.
        wait: whether closing waits for the items that are being worked on.
    """
    pool = ThreadPoolExecutor(threads, thread_name_prefix="rapidseg")
    pending: deque[Future[Result]] = deque()
    try:
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) >= threads + _MAX_AHEAD:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(wait=wait, cancel_futures=True)


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
    # "spawn", because a forked copy of a process with threads can hang.
    with ProcessPoolExecutor(min(processes, len(items)), get_context("spawn"), _start_process) as pool:
        try:
            with ignored_interrupts(), _main_module_hidden():
                pending = [pool.submit(function, item) for item in items]
            for finished in as_completed(pending):
                yield finished.result()
        except BrokenProcessPool as error:
            raise RapidSegError(
                "a worker process was killed, probably because memory ran out; run the command again with fewer "
                "workers: finished items are kept"
            ) from error
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


@contextlib.contextmanager
def ignored_interrupts() -> Iterator[None]:
    """Lets processes that are started in the block ignore Ctrl-C from their first instruction on.

    Ctrl-C reaches a whole group of processes. Only the one that the user started handles it; a process that is still
    importing would print a traceback. In other threads than the main one, Python does not allow this.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        if before is not None:  # else C code installed the handler, and Python cannot install it again
            signal.signal(signal.SIGINT, before)


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
    import cv2

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent stops its processes on Ctrl+C
    cv2.setNumThreads(1)

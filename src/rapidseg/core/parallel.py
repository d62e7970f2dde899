"""Work on many items in threads, with results in the order of the items."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Made = TypeVar("Made")

_AHEAD = 2  # items beyond the number of threads that are begun before the first result is asked for


def ordered_map(
    function: Callable[[Item], Made], items: Iterable[Item], *, threads: int, wait: bool = True
) -> Generator[Made, None, None]:
    """Yields `function(item)` for each item in order, computed ahead in threads.

    `items` is iterated in the caller's thread. At most `threads` + 2 items are in progress. When the generator is
    closed, items that have not started are dropped.

    Args:
        function: called in one of the threads; what it raises is raised when its result is due.
        items: what to work on.
        threads: how many items are worked on at once.
        wait: whether closing waits for the items that are being worked on.
    """
    pool = ThreadPoolExecutor(threads, thread_name_prefix="rapidseg")
    pending: deque[Future[Made]] = deque()
    try:
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) >= threads + _AHEAD:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(wait=wait, cancel_futures=True)

"""A bound on how much several threads hold at once, where items have very different sizes."""

from __future__ import annotations

import threading
from types import TracebackType


class OrderedBudget:
    """Lets numbered items begin in their order, and only while what is held does not exceed a limit.

    An item that is larger than the limit waits until nothing else is held. Since items begin in order, one that is
    needed next never waits for one that is needed later.
    """

    def __init__(self, limit: int) -> None:
        """Takes the most that is held at once, in the unit of the items' sizes."""
        self._limit = limit
        self._held: dict[int, int] = {}
        self._next = 0
        self._closed = False
        self._changed = threading.Condition()

    def acquire(self, index: int, size: int) -> None:
        """Waits until item `index`, counted from 0, may begin. Every index must come, with size 0 if need be."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or (self._next == index and self._fits(size)))
            self._held[index] = size
            self._next = max(self._next, index + 1)
            self._changed.notify_all()

    def wait_below(self, size: int) -> None:
        """Waits until at most `size` is held."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or sum(self._held.values()) <= size)

    def release(self, index: int) -> None:
        """Says that an item is not held anymore; more than once does no harm."""
        with self._changed:
            self._held.pop(index, None)
            self._changed.notify_all()

    def close(self) -> None:
        """Ends all waiting, now and later."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _fits(self, size: int) -> bool:
        held = sum(self._held.values())
        return held == 0 or held + size <= self._limit

    def __enter__(self) -> OrderedBudget:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

"""Which process an engine belongs to: none of them survives `os.fork`.

A forked process has a copy of its parent's memory, but only one of its threads. An engine that waits there for the
threads of its pool waits for ever. `multiprocessing` forks by default on Linux before Python 3.14.
"""

from __future__ import annotations

import os
import threading
from typing import NoReturn

from rapidseg.core.errors import EngineError

_ran_in: dict[str, int] = {}  # by the name of a library: the id of the process that first ran a network with it


class Turn:
    """A lock with which threads take turns; it belongs to the process that created it.

    As a context manager it raises `EngineError` in any other process, before it waits: the thread that held the lock
    during a fork does not exist in the forked process.
    """

    def __init__(self) -> None:
        self._process_id = os.getpid()
        self._lock = threading.Lock()

    def check_process(self) -> None:
        """Raises `EngineError` in a process that was forked from the one that created this object."""
        if os.getpid() != self._process_id:
            raise EngineError(
                "this segmenter was loaded in another process; call rapidseg.load in the worker, and start workers "
                f'with multiprocessing.get_context("spawn"): process {os.getpid()} was forked from {self._process_id} '
                "without its threads; see docs/workers.md"
            )

    def __reduce__(self) -> NoReturn:
        raise EngineError(
            "a segmenter cannot be sent to another process; send the name of its model and call rapidseg.load in the "
            "worker; see docs/workers.md"
        )

    def __enter__(self) -> None:
        self.check_process()
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def check_not_forked(library: str) -> None:
    """Raises `EngineError` if a library has run networks in the process from which this one was forked.

    Its threads were started there, once per process, so even a new network would wait for them.

    Args:
        library: its name, as for `record_run`.
    """
    before = _ran_in.get(library, os.getpid())
    if before != os.getpid():
        raise EngineError(
            f"{library} ran a network before process {os.getpid()} was forked from {before}, without the threads of "
            f'{library}; start workers with multiprocessing.get_context("spawn"), or use segmenters only in workers; '
            "see docs/workers.md"
        )


def record_run(library: str) -> None:
    """Records that a library has started its threads in this process."""
    _ran_in.setdefault(library, os.getpid())

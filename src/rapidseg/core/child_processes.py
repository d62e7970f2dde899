"""Starting Python processes: without modules of the current folder, without Ctrl-C, and never outliving the parent."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from multiprocessing.connection import wait
from pathlib import Path
from types import FrameType

_SAFE_PATH = "PYTHONSAFEPATH"  # Python 3.11 and later: the current folder is not searched for modules
_PACKAGE_PARENT = str(Path(__file__).resolve().parents[2])
_GRACE_S = 1.0  # after the parent's end, until a worker that is still busy is ended
_CRASHED = 1


class Terminated(BaseException):
    """SIGTERM ended the work on an item in a worker; temporary files are removed on the way."""


def python_command(module: str) -> list[str]:
    """Returns the words that run the function `main` of a module of this package in a new Python process.

    `python -m` would put the current folder first on the path of modules, and run a `numpy.py` that lies there.

    Args:
        module: such as "rapidseg.benchmarking.worker".
    """
    current = _current_folder_names()
    paths = [path for path in sys.path if path not in current]
    if _PACKAGE_PARENT not in paths:
        paths.append(_PACKAGE_PARENT)
    # `sys` is built in, so nothing is searched for before the path is set.
    return [sys.executable, "-c", f"import sys; sys.path[:] = {paths!r}; from {module} import main; main()"]


@contextlib.contextmanager
def safe_start() -> Iterator[None]:
    """Starts processes, in the block, that neither import from the current folder nor handle Ctrl-C."""
    before = os.environ.get(_SAFE_PATH)
    os.environ[_SAFE_PATH] = "1"
    try:
        with ignored_interrupts():
            yield
    finally:
        if before is None:
            os.environ.pop(_SAFE_PATH, None)
        else:
            os.environ[_SAFE_PATH] = before


@contextlib.contextmanager
def ignored_interrupts() -> Iterator[None]:
    """Lets processes that are started in the block ignore Ctrl-C from their first instruction on.

    Ctrl-C reaches a whole group of processes. Only the one that the user started handles it; a process that is still
    importing would print a traceback. The signal is blocked, which processes inherit: here it arrives after the block.
    """
    if not hasattr(signal, "pthread_sigmask"):  # on Windows
        with _ignored_in_main_thread():
            yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _ignored_in_main_thread() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():  # Python allows handlers in no other thread
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        if before is not None:  # else C code installed the handler, and Python cannot install it again
            signal.signal(signal.SIGINT, before)


class ItemWork:
    """What a worker does about SIGTERM: it unwinds the work on an item, which removes temporary files, and ends."""

    def __init__(self) -> None:
        self._is_working = self._is_ending = False

    def handle_signals(self) -> None:
        """Ignores Ctrl-C, which the parent handles, and ends the process on SIGTERM."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, self._terminate)

    def __enter__(self) -> None:
        self._is_working = True

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._is_working = False
        if kind is Terminated:
            os._exit(128 + signal.SIGTERM)

    def _terminate(self, number: int, frame: FrameType | None) -> None:
        if self._is_ending:  # a pool ends its workers once more as soon as the first of them has ended
            return
        if self._is_working:
            self._is_ending = True
            raise Terminated
        os._exit(128 + number)


def end_with_parent() -> None:
    """Ends this process, one of `multiprocessing`, soon after its parent has ended, however that happened.

    A worker that waits for work would otherwise wait for ever: it holds both ends of the pipe that it reads.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_wait_for_end, args=(parent.sentinel,), name="rapidseg-parent", daemon=True).start()


def _wait_for_end(sentinel: int) -> None:
    wait([sentinel])
    if hasattr(signal, "SIGKILL"):  # elsewhere SIGTERM cannot be handled
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(_GRACE_S)
    os._exit(_CRASHED)


def _current_folder_names() -> set[str]:
    """Returns how the current folder may be written in `sys.path`; none where this package itself lies in it."""
    try:
        folder = os.getcwd()
    except OSError:  # it was deleted
        return {"", os.curdir}
    return set() if os.path.samefile(folder, _PACKAGE_PARENT) else {"", os.curdir, folder}

"""Ctrl-C that cannot get lost.

Python raises `KeyboardInterrupt` wherever the program happens to be. In a destructor, or in a callback of a compiled
library, the exception is dropped and the work goes on. The handler here remembers it, and the next report of progress
raises it again.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType

_pending = threading.Event()


def remember_interrupts() -> None:
    """Installs the handler where Ctrl-C raises `KeyboardInterrupt`; not where the process ignores it."""
    if (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    ):
        signal.signal(signal.SIGINT, _interrupt)


def raise_pending_interrupt() -> None:
    """Raises `KeyboardInterrupt` if an earlier one was dropped."""
    if _pending.is_set():
        _pending.clear()
        raise KeyboardInterrupt


def forget_interrupts() -> None:
    """Is called once an interrupt is reported."""
    _pending.clear()


def interrupt_is_pending() -> bool:
    """Returns whether there was an interrupt that nobody has reported."""
    return _pending.is_set()


def _interrupt(number: int, frame: FrameType | None) -> None:
    _pending.set()
    raise KeyboardInterrupt

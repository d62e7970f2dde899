"""Ctrl-C and SIGTERM that cannot get lost.

Python raises `KeyboardInterrupt` wherever the program happens to be. In a destructor, or in a callback of a compiled
library, the exception is dropped and the work goes on. The handler here remembers it: the next report of progress
raises it again, or a timer sends the signal again. SIGTERM ends a command in the same way as Ctrl-C, so that processes
are ended and temporary files removed.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType

from rapidseg.core.errors import Interrupted

_WAIT_S = 0.02  # until a signal is sent again; the callback that dropped it has then returned
_pending: list[int] = []  # numbers of signals that nobody has reported


def remember_interrupts() -> None:
    """Installs the handler where a signal ends the process; not where the process ignores it."""
    if threading.current_thread() is not threading.main_thread():
        return
    for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGTERM, signal.SIG_DFL)):
        if signal.getsignal(number) is usual:
            signal.signal(number, _interrupt)
    if sys.unraisablehook is sys.__unraisablehook__:
        sys.unraisablehook = _send_again


def raise_pending_interrupt() -> None:
    """Raises `KeyboardInterrupt` if an earlier one was dropped."""
    if _pending:
        number = _pending[0]
        _pending.clear()
        raise Interrupted("", number)


def forget_interrupts() -> None:
    """Is called once an interrupt is reported."""
    _pending.clear()


def interrupt_is_pending() -> bool:
    """Returns whether there was an interrupt that nobody has reported."""
    return bool(_pending)


def pending_signal() -> int | None:
    """Returns the number of the first signal that nobody has reported; None where there is none."""
    return _pending[0] if _pending else None


def _send_again(dropped: sys.UnraisableHookArgs) -> None:
    """Sends the signal again whose exception Python has dropped, instead of printing a traceback of it."""
    if not isinstance(dropped.exc_value, Interrupted):
        sys.__unraisablehook__(dropped)
    elif sys.platform != "win32":  # where `os.kill` would end the process
        timer = threading.Timer(_WAIT_S, _send_if_pending, (dropped.exc_value.signal_number,))
        timer.daemon = True
        timer.start()


def _send_if_pending(number: int) -> None:
    if _pending:
        os.kill(os.getpid(), number)


def _interrupt(number: int, frame: FrameType | None) -> None:
    _pending.append(number)
    raise Interrupted("", number)

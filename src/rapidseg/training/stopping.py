"""Ctrl-C and SIGTERM: a run finishes its iteration and saves before it stops."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class TrainingStopped(KeyboardInterrupt):
    """A run was asked to stop, and its state is on disk.

    Attributes:
        iteration: iterations done.
        signal_number: of the signal that asked.
    """

    def __init__(self, iteration: int, signal_number: int) -> None:
        super().__init__(f"stopped after iteration {iteration}")
        self.iteration = iteration
        self.signal_number = signal_number


class StopRequested(Exception):
    """Leaves Lightning's loops; it must not be a KeyboardInterrupt, at which Lightning ends the process."""


class StopSignals:
    """While this context lasts, the first signal is remembered and a second one acts as it always does."""

    def __init__(self) -> None:
        self.received: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is threading.main_thread():  # Python allows it nowhere else
            self._before = {number: signal.signal(number, self._remember) for number in _SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()

    def check(self) -> None:
        """Raises StopRequested if a signal came."""
        if self.received is not None:
            raise StopRequested

    def _remember(self, number: int, frame: FrameType | None) -> None:
        self.received = number
        self._restore()

    def _restore(self) -> None:
        # At a signal and once more at the end: Lightning puts back, when it is done, the handlers that it found.
        for number, handler in self._before.items():
            signal.signal(number, handler)

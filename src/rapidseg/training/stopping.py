"""Ctrl-C and SIGTERM: a run finishes its iteration and saves its state before it stops."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from types import FrameType
from typing import Any

from rapidseg.core.errors import Interrupted

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class TrainingStopped(Interrupted):
    """A signal stopped a run after it saved its state; the run can be resumed.

    Attributes:
        iteration: iterations done.
        signal_number: of the signal.
    """

    def __init__(
        self, iteration: int, signal_number: int, folder: Path | None = None, *, command: str = "train"
    ) -> None:
        how = "" if folder is None else f"; resume with: rapidseg {command} --output {folder} --resume"
        super().__init__(f"stopped after iteration {iteration}{how}", signal_number)
        self.iteration = iteration


class StopRequested(Exception):
    """Leaves Lightning's loops. It must not be a KeyboardInterrupt, on which Lightning ends the process."""


class StopSignals:
    """A context in which the first signal is only recorded; a second one has its usual effect."""

    def __init__(self) -> None:
        self.received: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is threading.main_thread():  # Python allows handlers in no other thread
            self._before = {number: signal.signal(number, self._record) for number in _SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()

    def check(self) -> None:
        """Raises StopRequested if a signal was received."""
        if self.received is not None:
            raise StopRequested

    def _record(self, number: int, frame: FrameType | None) -> None:
        self.received = number
        self._restore()

    def _restore(self) -> None:
        # After a signal and again at the end: Lightning finally reinstalls the handlers that it saw at its start.
        for number, handler in self._before.items():
            signal.signal(number, handler)

"""Silencing what other libraries log, warn and print, where our own messages say what matters."""

from __future__ import annotations

import contextlib
import io
import logging
import threading
import warnings
from collections.abc import Iterator, Sequence


@contextlib.contextmanager
def quiet_libraries(
    *,
    loggers: Sequence[str | logging.Logger] | None = None,
    level: int = logging.ERROR,
    ignored_warnings: Sequence[str] | None = None,
    stdout: bool = False,
    stderr: bool = False,
) -> Iterator[None]:
    """Silences libraries inside the block.

    Args:
        loggers: loggers, or their names, whose records below `level` are dropped; None: records of all loggers up to
            and including `level` are dropped.
        level: a level of the `logging` module.
        ignored_warnings: regular expressions for the messages of warnings to ignore; None: ignore all warnings.
        stdout, stderr: whether to drop what Python code prints there; output of C code is not caught.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(_loggers(loggers, level))
        stack.enter_context(warnings.catch_warnings())
        if ignored_warnings is None:
            warnings.simplefilter("ignore")
        for pattern in ignored_warnings or ():
            warnings.filterwarnings("ignore", message=pattern)
        if stdout:
            stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
        if stderr:
            stack.enter_context(contextlib.redirect_stderr(io.StringIO()))
        yield


@contextlib.contextmanager
def _loggers(names: Sequence[str | logging.Logger] | None, level: int) -> Iterator[None]:
    if names is None:
        disabled = logging.root.manager.disable
        logging.disable(level)
        try:
            yield
        finally:
            logging.disable(disabled)
        return
    loggers = [logging.getLogger(name) if isinstance(name, str) else name for name in names]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(level)
    try:
        yield
    finally:
        for logger, previous in zip(loggers, before, strict=True):
            logger.setLevel(previous)


class IgnoredWarnings:
    """A context, shared by threads, in which warnings that come from some modules are ignored.

    Python's `catch_warnings` restores the filters that it found, so two threads whose blocks overlap would leave the
    filters of the first behind. Here the first thread that enters adds a filter, and the last that leaves removes it.
    """

    def __init__(self, modules: str) -> None:
        """Takes a regular expression for the names of the modules that warn."""
        self._modules = modules
        self._lock = threading.Lock()
        self._num_inside = 0
        self._context = warnings.catch_warnings()

    def __enter__(self) -> None:
        with self._lock:
            if self._num_inside == 0:
                self._context = warnings.catch_warnings()
                self._context.__enter__()
                warnings.filterwarnings("ignore", module=self._modules)
            self._num_inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._num_inside -= 1
            if self._num_inside == 0:
                self._context.__exit__(None, None, None)

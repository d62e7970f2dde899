"""Keeping what other libraries log, warn and print from the user, where our own messages say what matters."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Sequence


@contextlib.contextmanager
def quiet_libraries(
    *,
    loggers: Sequence[str] | None = None,
    level: int = logging.ERROR,
    ignored_warnings: Sequence[str] | None = None,
    stdout: bool = False,
    stderr: bool = False,
) -> Iterator[None]:
    """Silences libraries within the block.

    Args:
        loggers: names of loggers that tell nothing below `level`; None: all of them tell nothing up to `level`.
        level: of the logging module.
        ignored_warnings: patterns of warnings that are ignored; None: all of them.
        stdout, stderr: whether what Python code prints there is dropped.
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
def _loggers(names: Sequence[str] | None, level: int) -> Iterator[None]:
    if names is None:
        disabled = logging.root.manager.disable
        logging.disable(level)
        try:
            yield
        finally:
            logging.disable(disabled)
        return
    loggers = [logging.getLogger(name) for name in names]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(level)
    try:
        yield
    finally:
        for logger, own in zip(loggers, before, strict=True):
            logger.setLevel(own)

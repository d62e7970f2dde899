"""What libraries print is silenced inside a block only; progress reaches whoever watches."""

from __future__ import annotations

import logging
import sys
import warnings

import pytest

from rapidseg.core.progress import SILENT, Progress, counter
from rapidseg.core.quiet import quiet_libraries


def test_all_loggers_and_warnings_are_silenced_inside_only(caplog):
    logger = logging.getLogger("library")
    with quiet_libraries():
        logger.error("unseen")
        logger.critical("seen")
        warnings.warn("unseen", stacklevel=1)
    logger.error("seen again")
    assert [record.message for record in caplog.records] == ["seen", "seen again"]
    with pytest.warns(UserWarning, match="seen"):
        warnings.warn("seen", stacklevel=1)


def test_named_loggers_and_warnings_only(caplog):
    noisy, other = logging.getLogger("noisy"), logging.getLogger("other")
    noisy.setLevel(logging.INFO)
    with quiet_libraries(loggers=["noisy"], level=logging.ERROR, ignored_warnings=["of no use"]):
        noisy.warning("unseen")
        noisy.error("seen")
        other.warning("seen too")
        warnings.warn("of no use to you", stacklevel=1)
        with pytest.warns(UserWarning, match="useful"):
            warnings.warn("useful", stacklevel=1)
    assert noisy.level == logging.INFO
    assert [record.message for record in caplog.records] == ["seen", "seen too"]


def test_levels_are_restored_after_an_error():
    logger = logging.getLogger("noisy")
    logger.setLevel(logging.INFO)
    disabled = logging.root.manager.disable
    for options in ({}, {"loggers": ["noisy"]}):
        with pytest.raises(ValueError, match="broken"), quiet_libraries(**options):
            raise ValueError("broken")
        assert logger.level == logging.INFO
        assert logging.root.manager.disable == disabled


def test_output_is_dropped_where_asked(capsys):
    with quiet_libraries(stdout=True):
        sys.stdout.write("unseen\n")
        sys.stderr.write("seen\n")
    with quiet_libraries(stderr=True):
        sys.stdout.write("seen\n")
        sys.stderr.write("unseen\n")
    output = capsys.readouterr()
    assert (output.out, output.err) == ("seen\n", "seen\n")


class Recorder:
    def __init__(self) -> None:
        self.calls: list[tuple] = []

    def update(self, task, done, total, *, unit="items"):
        self.calls.append((task, done, total, unit))

    def metrics(self, step, values): ...

    def message(self, text): ...


def test_a_counter_reports_one_task():
    recorder: Progress = Recorder()
    count = counter(recorder, "downloading", unit="bytes")
    count(0, None)
    count(5, 10)
    assert recorder.calls == [("downloading", 0, None, "bytes"), ("downloading", 5, 10, "bytes")]


def test_silent_ignores_everything():
    SILENT.update("evaluating", 1, 2)
    SILENT.metrics(3, {"loss": 0.5})
    SILENT.message("nobody hears")

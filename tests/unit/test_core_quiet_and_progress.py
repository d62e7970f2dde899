"""What libraries print is silenced inside a block only; progress reaches whoever watches."""

from __future__ import annotations

import io
import logging
import sys
import time
import warnings

import pytest

from rapidseg.core.progress import SILENT, DownloadLine, Progress, counter
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


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_download_is_one_line_in_a_terminal(monkeypatch):
    clock = iter([0.0, 0.05, 0.5, 0.55])
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys, "stderr", Terminal())
    count = counter(DownloadLine(), "downloading fast-scnn", unit="bytes")
    for done in (0, 1_000_000, 2_000_000, 4_000_000):  # the second follows the first too fast, the last never does
        count(done, 4_000_000)
    count.end()
    lines = [line.rstrip(" ") for line in sys.stderr.getvalue().split("\r")]
    assert lines == [
        "",
        "downloading fast-scnn: 0.0 of 4.0 MB (0%)",
        "downloading fast-scnn: 2.0 of 4.0 MB (50%), 4.0 MB/s",
        "downloading fast-scnn: 4.0 of 4.0 MB (100%), 7.3 MB/s" + " " * 26 + "\n",
    ]


def test_a_long_name_fits_in_the_line(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setattr(sys, "stderr", Terminal())
    DownloadLine().update("downloading https://example.com/a/long/name", 1_000_000, None, unit="bytes")
    assert sys.stderr.getvalue() == "\rdownloading https://example....: 1.0 MB"


def test_a_line_that_breaks_off_is_ended(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    count = counter(DownloadLine(), "downloading", unit="bytes")
    count(1, 10)
    assert not sys.stderr.getvalue().endswith("\n")
    count.end()
    count.end()
    assert sys.stderr.getvalue().count("\n") == 1


def test_only_downloads_and_only_in_a_terminal(monkeypatch):
    line = DownloadLine()
    for stream in (Terminal(), io.StringIO(), None):
        monkeypatch.setattr(sys, "stderr", stream)
        line.update("evaluating", 1, 2)
        line.metrics(3, {"loss": 0.5})
        line.message("nobody hears")
        assert stream is None or stream.getvalue() == ""
        if not isinstance(stream, Terminal):
            line.update("downloading", 1, 2, unit="bytes")
            assert stream is None or stream.getvalue() == ""


def test_silent_ignores_everything():
    SILENT.update("evaluating", 1, 2)
    SILENT.metrics(3, {"loss": 0.5})
    SILENT.message("nobody hears")

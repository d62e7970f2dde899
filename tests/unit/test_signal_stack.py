"""Signals that come after a model was loaded are handled, and do not end the process."""

from __future__ import annotations

import subprocess
import sys

import pytest

from rapidseg.system.signal_stack import enlarge_signal_stack, signal_stack_size

PROGRAM = """
import os, signal
import rapidseg
from rapidseg.runtime.model_file import SAMPLE_IMAGE
from rapidseg.system.signal_stack import signal_stack_size

handled = []
signal.signal(signal.SIGUSR1, lambda number, frame: handled.append(number))
for name in ("fast-scnn-camvid", "fast-scnn-camvid-int8"):
    segmenter = rapidseg.load(name)
    os.kill(os.getpid(), signal.SIGUSR1)
    segmenter(SAMPLE_IMAGE)
    os.kill(os.getpid(), signal.SIGUSR1)
size = signal_stack_size()
assert size is None or size >= 1 << 18, size
assert len(handled) == 4, handled
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGUSR1")
def test_signals_are_handled_once_models_run() -> None:
    ended = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


def test_a_stack_that_is_large_enough_stays() -> None:
    enlarge_signal_stack()
    size = signal_stack_size()
    enlarge_signal_stack()
    assert signal_stack_size() == size

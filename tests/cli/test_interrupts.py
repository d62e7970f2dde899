"""Ctrl-C in long commands: one line says what is saved, and the exit status is 130."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from rapidseg.cli import interrupts
from rapidseg.cli.console import ProgressDisplay
from rapidseg.runtime.model_file import SAMPLE_IMAGE
from tests.support.interruptible import PROGRAM, interruptible_command

TIMEOUT_S = 120


def interrupt(folder, words, has_begun):
    """Sends Ctrl-C to a command and its processes, as a terminal does; returns exit status and standard error."""
    process = subprocess.Popen(
        interruptible_command(*words),
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    end = time.monotonic() + TIMEOUT_S
    while not has_begun():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    try:
        error = process.communicate(timeout=TIMEOUT_S)[1]
    finally:
        process.kill()
    return process.returncode, error


def test_an_interrupt_that_was_dropped_is_raised_again():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        interrupts.remember_interrupts()
        with contextlib.suppress(KeyboardInterrupt):  # a destructor, say
            signal.raise_signal(signal.SIGINT)
        display = ProgressDisplay()
        with pytest.raises(KeyboardInterrupt):
            display.update("drawing", 1, 2)
        display.update("drawing", 2, 2)
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_an_interrupt_in_a_destructor_prints_no_traceback_and_is_sent_again(name):
    program = (
        "import os, signal, sys, time\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from rapidseg.cli import interrupts\n"
        "interrupts.remember_interrupts()\n"
        "class Dropped:\n"
        f"    def __del__(self): os.kill(os.getpid(), signal.{name}); time.sleep(0)\n"
        "try:\n"
        "    Dropped()\n"
        "    time.sleep(20)\n"
        "except KeyboardInterrupt as stop:\n"
        "    print(stop.signal_number)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=TIMEOUT_S)
    assert (done.stdout, done.stderr) == (f"{int(getattr(signal, name))}\n", "")


def test_a_process_that_ignores_interrupts_goes_on_ignoring_them():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        interrupts.remember_interrupts()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("workers", [1, 2])
def test_scenes(tmp_path, workers):
    folder = tmp_path / "scenes"
    words = ["data", "synth", folder, "--images", 500, "--workers", workers, "--image-size", "512x1024"]
    status, error = interrupt(tmp_path, words, lambda: any(folder.rglob("*_leftImg8bit.png")))
    assert status == 130
    message = rf"interrupted: \d+ of 600 scenes saved in {re.escape(str(folder))}; run the same command again to resume"
    assert re.fullmatch(message, error.strip())


def test_predict(tmp_path):
    images = tmp_path / "images"
    images.mkdir()
    for index in range(400):
        (images / f"{index:03}.png").symlink_to(SAMPLE_IMAGE)
    status, error = interrupt(
        tmp_path, ["predict", images, "-o", "out"], lambda: len(list(tmp_path.glob("out/overlays/*.jpg"))) > 9
    )
    assert status == 130
    assert re.fullmatch(r"interrupted: [1-9]\d* of 400 images saved in out", error.strip())
    assert (tmp_path / "out" / "predictions.json").is_file()


@pytest.mark.parametrize("delay_s", [0, 0.1, 0.2])
def test_while_the_command_is_imported(tmp_path, delay_s):
    program = f"print('begun', flush=True); {PROGRAM}"
    process = subprocess.Popen(
        [sys.executable, "-c", program, "predict"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "begun\n"
    time.sleep(delay_s + 0.1)  # until the program handles signals
    process.send_signal(signal.SIGINT)
    error = process.communicate(timeout=TIMEOUT_S)[1]
    assert process.returncode == 130
    assert "Traceback" not in error
    assert "interrupted" in error


def test_benchmark(tmp_path):
    begun = time.monotonic()
    words = ["benchmark", "--image-size", "64x64", "--rounds", 50, "--seconds", 5]
    status, error = interrupt(tmp_path, words, lambda: time.monotonic() > begun + 8)
    assert status == 130
    assert error.strip() == "interrupted"

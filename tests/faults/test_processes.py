"""Commands that are ended early: by kill -9 at any moment, by Ctrl-C and by SIGTERM.

Nothing half-written lies under a final name, no process is left, there is one message and the right status, the end
comes soon, and running the command again completes it.
"""

from __future__ import annotations

import importlib.util
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.commands import (
    COMMANDS,
    ROOT,
    LongCommand,
    check_files,
    processes_of,
    run_to_end,
    started,
    wait_until_under_way,
    write_inputs,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="POSIX signals, and /proc to find processes")

END_S = 2.0  # with a CPU to itself; other programs on this machine prolong it
KILLED = ("predict", "export", "prepare", "synth", "import", "train")
KILLS = 4  # of each command


def allowed_s() -> float:
    return END_S * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1) * 2)


def command_of(name: str) -> LongCommand:
    command = COMMANDS[name]
    if command.needs_torch and importlib.util.find_spec("torch") is None:
        pytest.skip("needs PyTorch")
    return command


def end_with(name: str, number: int, work: Path, *, group: bool, again: bool = True) -> None:
    """Ends a command that is under way with a signal, and checks how it ends and that it can be completed."""
    command = command_of(name)
    write_inputs(name, work)
    with started(command.words, work) as process:
        wait_until_under_way(command, process, work)
        begun = time.monotonic()
        (os.killpg if group else os.kill)(process.pid, number)
        _, error = process.communicate(timeout=60)
        seconds = time.monotonic() - begun
        while processes_of(process.pid) and time.monotonic() < begun + allowed_s():
            time.sleep(0.02)
        assert processes_of(process.pid) == []
    if process.returncode == 0:  # it was about to end
        assert name in ("import", "check")
        return
    assert process.returncode == 128 + number, error
    assert "Traceback" not in error
    messages = [line for line in error.splitlines() if re.match(r"interrupted|stopped", line)]
    assert len(messages) == 1, error
    assert seconds < allowed_s(), (seconds, error)
    check_files(work, parts_allowed=False)
    if again and command.makes:
        run_to_end(command.again or command.words, work)
        check_files(work, parts_allowed=False)


def test_sigterm_ends_a_command_and_its_processes(tmp_path):
    end_with("synth", signal.SIGTERM, tmp_path, group=False, again=False)


@pytest.mark.faults
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("group", [True, False])
@pytest.mark.parametrize("name", COMMANDS)
def test_signals_end_every_long_command(name, number, group, tmp_path):
    end_with(name, number, tmp_path, group=group)


@pytest.mark.faults
@pytest.mark.parametrize("name", KILLED)
def test_kill_9_at_any_moment_leaves_no_half_written_file(name, tmp_path):
    command, chance = command_of(name), random.Random(name)
    inputs, whole = tmp_path / "inputs", tmp_path / "whole"
    write_inputs(name, inputs)
    shutil.copytree(inputs, whole, symlinks=True)
    begun = time.monotonic()
    run_to_end(command.words, whole)
    duration_s = time.monotonic() - begun
    for index in range(KILLS):
        work = Path(shutil.copytree(inputs, tmp_path / str(index), symlinks=True))
        with started(command.words, work) as process:
            time.sleep(chance.uniform(0.3, 1) * duration_s)
            kill(process)
        check_files(work, parts_allowed=True)
        resumes = command.again and (work / "run" / "recipe.yaml").exists()
        if not (name == "train" and names(work) >= names(whole)):  # a run that is complete does not resume
            run_to_end(command.again if resumes else command.words, work)
        assert names(work) >= names(whole)
        shutil.rmtree(work)


def kill(process):
    """Kills a command, and checks that its processes end with it."""
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    end = time.monotonic() + allowed_s()
    while processes_of(process.pid) and time.monotonic() < end:
        time.sleep(0.02)
    assert processes_of(process.pid) == []


def names(folder: Path) -> set[str]:
    """Returns the files that a command wrote, without those whose names differ between runs."""
    files = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {str(path) for path in files if "tensorboard" not in path.parts and ".part" not in path.name}


def test_a_worker_does_not_outlive_a_parent_that_was_killed(tmp_path):
    command = COMMANDS["synth"]
    with started(command.words, tmp_path) as process:
        wait_until_under_way(command, process, tmp_path)
        assert len(processes_of(process.pid)) > 2
        kill(process)
    check_files(tmp_path, parts_allowed=True)


@pytest.mark.parametrize(
    "words",
    [
        ["-m", "rapidseg"],
        pytest.param(["-c", "from rapidseg.cli.app import main; main()"], marks=pytest.mark.faults),
    ],
)
def test_no_module_of_the_current_folder_is_run(tmp_path, words):
    """`-c` puts the current folder first on the path of this process, but not on those of the processes it starts."""
    names = ("numpy", "json", "tempfile", "random", "cv2", "openvino", "yaml")
    trap = "import os; open(os.environ['TRAP'] + f'/{os.getpid()}', 'w').close(); raise SystemExit('trapped')\n"
    (tmp_path / "trapped").mkdir()
    (tmp_path / "work").mkdir()
    for name in names:
        (tmp_path / "work" / f"{name}.py").write_text(trap)
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "TRAP": str(tmp_path / "trapped")}
    if words[0] == "-c":
        words = ["-c", f"import sys; sys.path.remove(''); {words[1]}"]
    for command in (
        [
            *("benchmark", "--image-size", "64x64", "--rounds", "1", "--seconds", "0.01"),
            *("--engines", "openvino", "--precisions", "float32"),
        ],
        ["data", "synth", "drawn", "--images", "4", "--workers", "2", "--image-size", "32x64"],
    ):
        done = subprocess.run(
            [sys.executable, *words, *command], cwd=tmp_path / "work", env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
    assert list((tmp_path / "trapped").iterdir()) == []

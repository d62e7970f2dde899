"""Commands send nothing anywhere, and change no file but those of their output, the cache and temporary folders.

An audit hook of Python records what the commands do and the processes that they start do (`tests/support/audit`); the
folders are listed as well, because compiled libraries call the system without Python.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from rapidseg.runtime.model_file import SAMPLE_IMAGE
from tests.support.block_scenes import write_block_scenes
from tests.support.class_folders import write_classes
from tests.support.polygon_files import street, write_polygons

ROOT = Path(__file__).resolve().parents[2]
NETWORK = ("socket.", "urllib.")
STARTS = ("subprocess.Popen", "os.posix_spawn", "os.exec", "os.system")

# Runs several command lines in one process, as far as that is possible: imports take longer than most commands.
PROGRAM = """
import json, os, sys
from rapidseg.cli.app import main
for words in json.loads(sys.argv[1]):
    sys.argv = ["rapidseg", *words]
    try:
        main()
    except SystemExit as end:
        if end.code:
            sys.exit(f"{words}: {end.code}")
"""

SCENES = ("--data", "cityscapes", "--root", "scenes", "--split", "val")
SPEED = ("--image-size", "64x64", "--rounds", "1", "--seconds", "0.01")
QUICK = [
    ["predict", str(SAMPLE_IMAGE), "-o", "out"],
    ["predict", str(SAMPLE_IMAGE), "-o", "out2", "--engine", "onnxruntime"],
    ["doctor", "--json"],
    ["models"],
    ["models", "show", "fast-scnn-camvid"],
    ["models", "cache"],
    ["data", "check", "cityscapes", "--root", "scenes"],
    ["data", "synth", "drawn", "--images", "3", "--workers", "2", "--image-size", "64x128"],
    ["data", "prepare", "cityscapes", "polygons", "--workers", "2"],
    ["benchmark", *SPEED, "--engines", "openvino", "--precisions", "float32"],
]
SLOW = [
    ["benchmark", *SPEED, "-o", "speed"],
    ["train", "tiny", "data.root=scenes", "data.workers=1", "--device", "cpu", "-o", "run"],
    ["train", "-o", "run", "--resume"],
    [
        *("pretrain", "--root", "images", "--device", "cpu", "--feature-dim", "8", "--m", "8", "--k", "5", "-o", "pre"),
        *("--batch-size", "16", "--epochs", "1", "data.val=val", "data.view.image_size=[16, 16]"),
        "encoder.options={stem: cifar, width: 0.125}",
    ],
    ["export", "run/best.safetensors", "-o", "best.onnx"],
    ["export", "best.onnx", "-o", "int8.onnx", "--precision", "int8", *SCENES, "--calibration-images", "2"],
    ["import", "published.pth", "-o", "published.safetensors"],
    ["predict", str(SAMPLE_IMAGE), "-o", "out3", "-m", "published.safetensors"],
    ["predict", str(SAMPLE_IMAGE), "-o", "out4", "--engine", "torch"],
    ["eval", "best.onnx", *SCENES, "--output", "a.json", "--save", "a", "--html", "a.html"],
    ["eval", "run/best.safetensors", *SCENES, "--output", "b.json"],
    ["report", "a.json", "b.json", "-o", "ab.html"],
    ["tune", "best.onnx", "--min-fps", "0.001", *SCENES, *SPEED, "-o", "tuned.yaml"],
    ["benchmark", "run/best.safetensors", "--baseline", "eager", *SPEED],
]


@dataclass(frozen=True)
class Recorded:
    """What commands did: the events of the hook, and the folders in which they ran."""

    events: list[dict]
    work: Path
    home: Path
    allowed: tuple[str, ...]

    def network(self):
        return [event for event in self.events if event["event"].startswith(NETWORK)]

    def starts(self):
        return [event for event in self.events if event["event"] in STARTS]

    def changes_elsewhere(self):
        changes = [event for event in self.events if not event["event"].startswith((*NETWORK, *STARTS))]
        return [event for event in changes for path in event["values"] if not path.startswith(self.allowed)]


def run_recorded(folder: Path, commands: list[list[str]], **environment: str) -> Recorded:
    """Runs command lines in `folder`/work with a home folder, a cache and a temporary folder of their own."""
    work, home, temporary = folder / "work", folder / "home", folder / "tmp"
    for path in (work, home, temporary):
        path.mkdir(exist_ok=True)
    log = folder / "audit.jsonl"
    own = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "RAPIDSEG_", "MPL"))}
    own |= {"HOME": str(home), "TMPDIR": str(temporary), "PYTHONDONTWRITEBYTECODE": "1", "AUDIT_LOG": str(log)}
    own["PYTHONPATH"] = os.pathsep.join([str(ROOT / "tests/support/audit"), str(ROOT / "src")])
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(commands)],
        cwd=work,
        env=own | environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    events = [json.loads(line) for line in log.read_text().splitlines()]
    allowed = (str(work), str(home / ".cache"), str(temporary), "/dev/", "/proc/self/")
    return Recorded(events, work, home, allowed)


def check(recorded: Recorded) -> None:
    assert recorded.network() == []
    assert recorded.changes_elsewhere() == []
    assert [path.name for path in recorded.home.iterdir()] == [".cache"]
    for start in recorded.starts():
        assert "'-m'" not in start["values"][0]  # it would search the current folder for modules
    assert len({event["process"] for event in recorded.events}) > 1  # the hook is in the processes of commands, too


@pytest.fixture
def work(tmp_path):
    """The folder in which commands run, with data."""
    write_block_scenes(tmp_path / "work" / "scenes")
    write_classes(tmp_path / "work" / "images")
    for seed in range(2):
        write_polygons(tmp_path / "work" / "polygons", street(seed), folder=("gtFine", "gtCoarse")[seed])
    return tmp_path / "work"


@pytest.mark.skipif(sys.platform != "linux", reason="folders of the user are elsewhere")
@pytest.mark.usefixtures("work")
def test_quick_commands(tmp_path):
    check(run_recorded(tmp_path, QUICK))


@pytest.mark.faults
@pytest.mark.skipif(sys.platform != "linux", reason="folders of the user are elsewhere")
def test_all_other_commands(tmp_path, work):
    import torch

    from tests.support.published import published_state

    torch.save({"state_dict": published_state("tramac", num_classes=3)}, work / "published.pth")
    check(run_recorded(tmp_path, SLOW))


def test_the_hook_sees_requests_and_files_of_started_processes_as_well(tmp_path):
    log, code = tmp_path / "log", tmp_path / "code.py"
    code.write_text(
        "import socket, subprocess, sys\n"
        "if len(sys.argv) == 1:\n"
        "    subprocess.run([sys.executable, '-m', 'code', 'child'], check=True)\n"
        "else:\n"
        "    try: socket.create_connection(('127.0.0.1', 9), timeout=0.1)\n"
        "    except OSError: pass\n"
        "    open('elsewhere', 'w').close()\n"
    )
    environment = {**os.environ, "AUDIT_LOG": str(log), "PYTHONPATH": str(ROOT / "tests/support/audit")}
    subprocess.run([sys.executable, "code.py"], cwd=tmp_path, env=environment, check=True)
    events = [json.loads(line) for line in log.read_text().splitlines()]
    recorded = Recorded(events, tmp_path, tmp_path, ("/dev/",))
    assert {event["event"] for event in recorded.network()} == {"socket.connect", "socket.getaddrinfo"}
    assert [event["values"] for event in recorded.changes_elsewhere()] == [[str(tmp_path / "elsewhere")]]
    assert "'-m'" in recorded.starts()[0]["values"][0]

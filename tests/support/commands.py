"""Commands that run for a while, for tests that end them early: what they need, and what they leave."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from rapidseg.runtime.model_file import SAMPLE_IMAGE, read_spec
from tests.support.block_scenes import write_block_scenes
from tests.support.class_folders import write_classes
from tests.support.data_folders import write_camvid
from tests.support.interruptible import interruptible_command
from tests.support.polygon_files import street, write_polygons

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 180
TINY = ("tiny", "data.root=scenes", "data.workers=1", "--device", "cpu", "log_every=1", "save_every=2")


@dataclass(frozen=True)
class LongCommand:
    """A command that takes some seconds.

    Attributes:
        words: of the command line.
        again: of the command line that completes it after it was ended, where that differs.
        needs_torch: whether it needs the extra `train`.
        makes: patterns of files that exist once it is under way, so that tests do not end it before.
    """

    words: tuple[str, ...]
    again: tuple[str, ...] = ()
    needs_torch: bool = False
    makes: tuple[str, ...] = field(default=())


COMMANDS = {
    "predict": LongCommand(("predict", "photos", "-o", "out"), makes=("out/overlays/*",)),
    "synth": LongCommand(
        ("data", "synth", "drawn", "--images", "30", "--workers", "2", "--image-size", "64x128"),
        makes=("drawn/leftImg8bit/train/synth/*",),
    ),
    "prepare": LongCommand(
        ("data", "prepare", "cityscapes", "polygons", "--workers", "2"), makes=("polygons/gtFine/*/*/*.png",)
    ),
    "check": LongCommand(("data", "check", "cityscapes", "--root", "scenes")),
    "eval": LongCommand(
        (
            *("eval", "--data", "camvid", "--root", "camvid", "--split", "val", "--save", "scored"),
            *("--output", "scores.json"),
        ),
        makes=("scored/**/*.png",),
    ),
    "benchmark": LongCommand(("benchmark", "--image-size", "64x64", "--rounds", "20", "--seconds", "5")),
    "import": LongCommand(("import", "published.pth", "-o", "imported.safetensors"), needs_torch=True),
    "export": LongCommand(("export", "published.pth", "-o", "exported.onnx"), needs_torch=True),
    "train": LongCommand(
        ("train", *TINY, "-o", "run"), ("train", "-o", "run", "--resume", "--device", "cpu"), True, ("run/log.jsonl",)
    ),
    "pretrain": LongCommand(
        (
            *("pretrain", "--root", "images", "--device", "cpu", "--feature-dim", "8", "--m", "8", "--k", "5"),
            *("--batch-size", "16", "--epochs", "40", "data.val=val", "data.view.image_size=[16, 16]", "save_every=1"),
            *("log_every=1", "encoder.options={stem: cifar, width: 0.125}", "-o", "pre"),
        ),
        ("pretrain", "-o", "pre", "--resume", "--device", "cpu"),
        True,
        ("pre/log.jsonl",),
    ),
}


def write_inputs(name: str, folder: Path) -> None:
    """Writes what a command of `COMMANDS` needs into the folder in which it runs."""
    words = COMMANDS[name].words
    folder.mkdir(parents=True, exist_ok=True)
    if {"scenes", "data.root=scenes"} & {*words}:
        write_block_scenes(folder / "scenes", train=30, val=30)
    if "camvid" in words:
        write_camvid(folder / "camvid", count=150)
    if "images" in words:
        write_classes(folder / "images")
    if "photos" in words:
        (folder / "photos").mkdir()
        for index in range(60):
            (folder / "photos" / f"{index:02}.png").symlink_to(SAMPLE_IMAGE)
    if "polygons" in words:
        for seed in range(60):
            write_polygons(folder / "polygons", street(seed), name=f"ulm/ulm_{seed:06}_000019")
    if "published.pth" in words:
        import torch

        from tests.support.published import published_state

        torch.manual_seed(0)
        torch.save({"state_dict": published_state("tramac", num_classes=3)}, folder / "published.pth")


@contextlib.contextmanager
def started(words: tuple[str, ...], folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Starts a command line in a session of its own, and ends whatever is left of the session."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        interruptible_command(*words),
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        for number in processes_of(process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        process.communicate()


def processes_of(session: int) -> list[int]:
    """Returns the ids of the processes of a session that have not ended."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, IndexError, ValueError):
            state, _, _, its_session = folder.joinpath("stat").read_text().rpartition(")")[2].split()[:4]
            if int(its_session) == session and state != "Z":
                found.append(int(folder.name))
    return found


def wait_until_under_way(command: LongCommand, process: subprocess.Popen[str], folder: Path) -> None:
    """Waits until a command has written its first files; where it writes none, until it handles signals."""
    end = time.monotonic() + TIMEOUT_S
    while time.monotonic() < end:
        if process.poll() is not None:
            raise AssertionError(f"the command ended too early: {process.communicate()}")
        if command.makes and any(any(folder.glob(pattern)) for pattern in command.makes):
            return
        if not command.makes and _has_threads(process.pid):
            return
        time.sleep(0.02)
    raise AssertionError("the command does not begin")


def _has_threads(process: int) -> bool:
    """Returns whether a process has imported a library that starts threads, such as NumPy."""
    with contextlib.suppress(OSError):
        return "numpy" in Path(f"/proc/{process}/maps").read_text()
    return False


def check_files(folder: Path, *, parts_allowed: bool) -> int:
    """Reads every file of the results, and returns how many there are.

    Args:
        folder: in which the command ran.
        parts_allowed: whether temporary files may be left, as after `kill -9`.
    """
    count = 0
    for path in folder.rglob("*"):
        if not path.is_file() or path.is_symlink():
            continue
        count += 1
        if ".part" in path.name:
            assert parts_allowed, path
        elif path.suffix in (".png", ".jpg"):
            with Image.open(path) as image:
                image.load()
        elif path.suffix == ".json":
            json.loads(path.read_text())
        elif path.suffix == ".onnx":
            read_spec(path)
        elif path.suffix == ".safetensors":
            from safetensors.numpy import load_file

            load_file(path)
        elif path.suffix in (".ckpt", ".pth"):
            import torch

            torch.load(path, weights_only=False)
    return count


def run_to_end(words: tuple[str, ...], folder: Path) -> str:
    """Runs a command line to its end and returns what it printed; it must succeed."""
    with started(words, folder) as process:
        output, error = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0, error
    return output

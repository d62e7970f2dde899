"""`rapidseg train`, as a person types it."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time

import pytest

from tests.support.block_scenes import write_block_scenes


@pytest.fixture(autouse=True)
def scenes(tmp_path):
    """A data set in the folder in which commands run."""
    return write_block_scenes(tmp_path / "scenes")


REST = ["log.jsonl", "recipe.yaml", "tensorboard"]  # what every run leaves besides its weights and state
TINY = ("train", "tiny", "data.root=scenes", "--device", "cpu")


def test_a_run_tells_how_it_goes_and_what_it_wrote(rapidseg, tmp_path):
    status, output, error = rapidseg(*TINY, "optimizer.lr=0.02", "--output", "run")
    assert status == 0
    assert "8 iterations in 0:00:0" in output
    assert "wrote run/best.safetensors and run/last.safetensors" in output
    lines = error.splitlines()
    assert lines[0].startswith("iteration 2/8: ")
    for figure in ("images/s", "waiting for data", "loss", "rate 1.00e-02", "ETA 0:00:0"):
        assert figure in lines[0]
    assert lines[2].startswith("iteration 4: mIoU 0.")
    assert (tmp_path / "run/recipe.yaml").read_text().startswith("# command: rapidseg train tiny data.root=")


def test_json_is_all_that_standard_output_holds(rapidseg):
    status, output, _ = rapidseg(*TINY, "--output", "run", "--json")
    assert status == 0
    document = json.loads(output)
    assert (document["iterations"], document["best_weights"]) == (8, "run/best.safetensors")


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is sent as a POSIX signal")
def test_ctrl_c_saves_and_says_how_to_go_on(tmp_path):
    words = [*TINY, "iterations=100000", "evaluate_every=100000", "log_every=1", "--output", "run"]
    process = subprocess.Popen(
        [sys.executable, "-m", "rapidseg", *words],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    log = tmp_path / "run" / "log.jsonl"
    while process.poll() is None and not (log.exists() and log.read_text().count("\n") >= 3):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    output, error = process.communicate(timeout=120)
    assert (process.returncode, output) == (130, "")
    message = "stopped and saved after iteration [0-9]+; go on with: rapidseg train --output run --resume"
    assert re.fullmatch(message, error.splitlines()[-1])
    folder = tmp_path / "run"
    assert sorted(path.name for path in folder.iterdir()) == ["last.ckpt", "last.safetensors", *REST]


def test_a_run_is_resumed_by_its_folder_alone(rapidseg):
    assert rapidseg(*TINY, "--output", "run")[0] == 0
    for words in ((), ("data.workers=1",)):
        status, output, _ = rapidseg("train", *words, "--output", "run", "--resume", "--device", "cpu")
        assert status == 0
        assert "wrote run/best.safetensors and run/last.safetensors" in output


def test_a_dry_run_writes_nothing(rapidseg, tmp_path):
    status, output, _ = rapidseg(*TINY, "--output", "run", "--dry-run")
    assert status == 0
    assert "The recipe, the data and the network fit: 6 images to learn from, 3 to score" in output
    assert not (tmp_path / "run").exists()
    assert json.loads(rapidseg(*TINY, "--dry-run", "--json")[1])["device"] == "cpu"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([*TINY, "optimizer.lrr=1", "--output", "run"], "unknown key 'optimizer.lrr'; did you mean 'optimizer.lr'?"),
        (["train", "tiny", "--output", "run"], "the key 'data.root' is missing"),
        (["train", "fast-scnn-tiny"], "no recipe 'fast-scnn-tiny'; did you mean 'tiny'?"),
        (["train"], "give a recipe: a YAML file, or one of cityscapes/deeplabv3-r50-d8, "),
        ([*TINY], "give a folder for the run: --output runs/first"),
        (["train", "--output", "run", "--resume"], "run holds no run to go on with; leave --resume out to begin one"),
        (["train", "tiny", "data.root=nowhere", "--output", "run"], "that folder does not exist"),
    ],
)
def test_mistakes_are_one_message_and_status_2(rapidseg, words, message):
    status, output, error = rapidseg(*words)
    assert (status, output) == (2, "")
    assert message in error
    assert "Traceback" not in error

"""`rapidseg train`, as a person types it."""

from __future__ import annotations

import json
import os
import signal

import pytest

from rapidseg.cli import train as command
from tests.block_scenes import write_block_scenes


@pytest.fixture(autouse=True)
def scenes(tmp_path):
    """A data set in the folder in which commands run."""
    return write_block_scenes(tmp_path / "scenes")


TINY = ("train", "fast-scnn_tiny", "data.root=scenes", "--device", "cpu")


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
    assert (tmp_path / "run/recipe.yaml").read_text().startswith("# command: rapidseg train fast-scnn_tiny data.root=")


def test_json_is_all_that_standard_output_holds(rapidseg):
    status, output, _ = rapidseg(*TINY, "--output", "run", "--json")
    assert status == 0
    document = json.loads(output)
    assert (document["iterations"], document["best_weights"]) == (8, "run/best.safetensors")


def test_ctrl_c_saves_and_says_how_to_go_on(rapidseg, monkeypatch):
    def interrupt(self, iteration):
        if iteration == 3:
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(command._Display, "step", interrupt)
        status, output, error = rapidseg(*TINY, "--output", "run")
    assert (status, output) == (130, "")
    assert error.splitlines()[-1] == (
        "stopped and saved after iteration 3; go on with: rapidseg train --output run --resume"
    )
    assert rapidseg("train", "--output", "run", "--resume", "--device", "cpu")[0] == 0
    assert rapidseg("train", "data.workers=1", "--output", "run", "--resume", "--device", "cpu")[0] == 0


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
        (["train", "fast-scnn_tiny", "--output", "run"], "the key 'data.root' is missing"),
        (["train", "fast-scnn-tiny"], "no recipe 'fast-scnn-tiny'; did you mean 'fast-scnn_tiny'?"),
        (["train"], "give a recipe: a YAML file, or one of fast-scnn_camvid, "),
        ([*TINY], "give a folder for the run: --output runs/first"),
        (["train", "--output", "run", "--resume"], "run holds no run to go on with; leave --resume out to begin one"),
        (["train", "fast-scnn_tiny", "data.root=nowhere", "--output", "run"], "that folder does not exist"),
    ],
)
def test_mistakes_are_one_message_and_status_2(rapidseg, words, message):
    status, output, error = rapidseg(*words)
    assert (status, output) == (2, "")
    assert message in error
    assert "Traceback" not in error

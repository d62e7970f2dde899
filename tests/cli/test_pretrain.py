"""`rapidseg pretrain`, as a person types it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import pytest

from tests.support.class_folders import write_classes

TINY = (
    *("pretrain", "--root", "images", "--device", "cpu", "--feature-dim", "8", "--m", "8", "--k", "5"),
    *("--batch-size", "16", "--epochs", "2", "data.val=val", "data.view.image_size=[16, 16]", "log_every=2"),
    "encoder.options={stem: cifar, width: 0.125}",
)


@pytest.fixture(autouse=True)
def images(tmp_path):
    """Images in the folder in which commands run."""
    return write_classes(tmp_path / "images")


def test_a_run_tells_how_it_goes_and_what_it_wrote(rapidseg, tmp_path):
    status, output, error = rapidseg(*TINY, "-o", "run")
    assert status == 0
    lines = [line for line in error.splitlines() if line.startswith(("iteration", "epoch"))]
    assert [line.split(":")[0] for line in lines] == [
        "iteration 2/6",
        "epoch 1",
        "iteration 4/6",
        "iteration 6/6",
        "epoch 2",
    ]
    for figure in ("images/s", "waiting for data", "loss", "learning rate", "ETA 0:0"):
        assert figure in lines[0]
    assert "top-1 " in lines[1]
    assert output.startswith("2 epochs, 6 iterations in 0:0")
    assert "wrote run/best.safetensors, run/last.safetensors, run/results/8_results.csv" in output
    assert (tmp_path / "run/recipe.yaml").read_text().startswith("# command: rapidseg pretrain --root images")


def test_a_dry_run_as_json(rapidseg, tmp_path):
    status, output, _ = rapidseg(*TINY, "--dry-run", "--json")
    assert status == 0
    assert json.loads(output)["train_images"] == 48
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="kill -9 is a POSIX signal")
def test_a_run_resumes_after_kill_9(rapidseg, tmp_path):
    words = [*TINY, "save_every=1", "log_every=1", "--epochs", "12", "-o", "run"]
    process = subprocess.Popen([sys.executable, "-m", "rapidseg", *words], cwd=tmp_path, stderr=subprocess.DEVNULL)
    state = tmp_path / "run" / "last.ckpt"
    while process.poll() is None and not state.exists():
        time.sleep(0.05)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    status, output, _ = rapidseg("pretrain", "-o", "run", "--resume", "--device", "cpu")
    assert status == 0
    assert output.startswith("12 epochs, 36 iterations")


def test_one_epoch_of_one_iteration(rapidseg):
    status, output, _ = rapidseg(*TINY, "--epochs", "1", "--batch-size", "48", "-o", "run")
    assert status == 0
    assert output.startswith("1 epoch, 1 iteration in 0:0")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-o", "run", "method.m=49"], "m is 49, but there are only 48 images"),
        (["-o", "run", "--root", "nowhere"], "nowhere"),
        ([], "choose a folder for the run: --output runs/first"),
        (["-o", "empty", "--resume"], "contains no run to resume"),
        (["-o", "run", "data.val=tset"], "images has no split 'tset'; available: train, val; set data.val=val or"),
        (["-o", "run", "optimizer.lr=x"], "with optimizer.lr overridden: optimizer.lr should be a number, not 'x'"),
    ],
)
def test_mistakes_give_one_message(rapidseg, words, message):
    status, output, error = rapidseg(*TINY, *words)
    assert (status, output) == (2, "")
    assert message in " ".join(error.split())
    assert "Traceback" not in error

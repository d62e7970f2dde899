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
    assert "8 iterations in 0:0" in output
    assert "wrote run/best.safetensors and run/last.safetensors" in output
    lines = error.splitlines()
    assert lines[0].startswith("iteration 2/8: ")
    for figure in ("images/s", "waiting for data", "loss", "learning rate 1.00e-02", "ETA 0:0"):
        assert figure in lines[0]
    assert lines[2].startswith("iteration 4: mIoU 0.")
    assert (tmp_path / "run/recipe.yaml").read_text().startswith("# command: rapidseg train tiny data.root=")


def test_json_is_all_that_standard_output_holds(rapidseg):
    status, output, _ = rapidseg(*TINY, "--output", "run", "--json")
    assert status == 0
    document = json.loads(output)
    assert (document["iterations"], document["best_weights"]) == (8, "run/best.safetensors")


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is sent as a POSIX signal")
def test_ctrl_c_saves_and_says_how_to_resume(tmp_path):
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
    message = "interrupted: stopped after iteration [0-9]+; resume with: rapidseg train --output run --resume"
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
    assert "OK: 6 training images, 3 for validation; 0." in output
    assert not (tmp_path / "run").exists()
    assert json.loads(rapidseg(*TINY, "--dry-run", "--json")[1])["device"] == "cpu"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([*TINY, "optimizer.lrr=1", "--output", "run"], "unknown key 'optimizer.lrr' (did you mean 'optimizer.lr'?)"),
        (["train", "tiny", "--output", "run"], "the key 'data.root' is missing"),
        (["train", "fast-scnn-tiny"], "unknown recipe 'fast-scnn-tiny' (did you mean 'tiny'?)"),
        (["train"], "name a recipe: a recipe file, a data description (.yaml), or one of camvid/fast-scnn, "),
        ([*TINY], "choose a folder for the run: --output runs/first"),
        (["train", "--output", "run", "--resume"], "run contains no run to resume; start one without --resume"),
        (["train", "--resume"], "name the folder of the run to resume: --output runs/first"),
        (
            [*TINY, "--weights", "fast-scnn-cityscape", "--dry-run"],
            "is neither a file nor the name of a model (did you mean 'fast-",
        ),
        (["train", "tiny", "data.root=nowhere", "--output", "run"], "no Cityscapes data set at "),
    ],
)
def test_mistakes_are_one_message_and_status_2(rapidseg, words, message):
    status, output, error = rapidseg(*words)
    assert (status, output) == (2, "")
    assert message in error
    assert "Traceback" not in error


def test_a_run_from_other_weights_says_what_it_uses(rapidseg):
    assert rapidseg(*TINY, "--iterations", "1", "--output", "first")[0] == 0
    status, output, error = rapidseg(*TINY, "--weights", "first/last.safetensors", "--dry-run")
    assert status == 0
    assert re.search(r"\d+ of \d+ tensors start from \S+/first/last\.safetensors", error.replace("\n", " "))
    assert "OK: 6 training images" in output


def test_your_own_data_need_no_recipe(rapidseg, tmp_path):
    description = f"""
classes: [{", ".join(f"class_{index}" for index in range(19))}]
root: scenes
image_suffix: _leftImg8bit.png
mask_suffix: _gtFine_labelTrainIds.png
splits:
  train: {{images: leftImg8bit/train, masks: gtFine/train}}
"""
    (tmp_path / "streets.yaml").write_text(description)
    small = ("data.workers=0", "data.augmentation.crop_size=[64, 96]", "batch_size=2", "model.options.width=0.25")
    words = ("train", "streets.yaml", *small, "--iterations", "4", "-o", "run", "--device", "cpu", "--json")
    status, output, error = rapidseg(*words)
    assert status == 0, error
    document = json.loads(output)
    assert (document["iterations"], document["best_weights"]) == (4, None)
    (warning,) = document["warnings"]
    assert warning.startswith("streets.yaml has no split 'val', so this run trains without validation")
    assert warning in error
    dry = json.loads(rapidseg(*words, "--dry-run")[1])
    assert (dry["train_images"], dry["val_images"], dry["warnings"]) == (6, None, [warning])

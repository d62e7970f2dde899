"""`rapidseg.workflows.train`: the same runs from Python."""

from __future__ import annotations

import json

import pytest
import torch

from rapidseg.core.errors import ConfigError, RapidSegError
from rapidseg.core.progress import NullProgress
from rapidseg.training.run_folder import RunFolder
from rapidseg.workflows.train import TrainingReport, TrainingStopped, train
from tests.support.block_scenes import write_block_scenes


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    return write_block_scenes(tmp_path_factory.mktemp("scenes"))


class Recorder(NullProgress):
    """Remembers what a run reports."""

    def __init__(self):
        self.updates, self.metrics_at, self.messages = [], [], []

    def update(self, task, done, total, *, unit="items"):
        self.updates.append((task, done, total))

    def metrics(self, step, values):
        self.metrics_at.append((step, sorted(values)))

    def message(self, text):
        self.messages.append(text)


def test_a_run_from_python(scenes, tmp_path):
    recorder = Recorder()
    overrides = {"data.root": scenes, "optimizer.lr": 0.02}
    report = train("tiny", overrides=overrides, iterations=3, output=tmp_path / "run", device="cpu", progress=recorder)
    assert isinstance(report, TrainingReport)
    assert (report.iterations, report.output) == (3, tmp_path / "run")
    assert report.best_mean_iou == report.best["mean_iou"]
    assert report.best_weights.is_file()
    assert report.last_weights.is_file()
    assert (report.warnings, report.check) == ((), None)
    document = json.loads(json.dumps(report.to_dict()))
    assert document["last_weights"] == str(report.last_weights)
    assert document.keys() >= {"output", "iterations", "seconds", "images_per_s", "best", "last", "best_weights"}
    assert [update for update in recorder.updates if update[0] == "training"] == [("training", k, 3) for k in range(4)]
    assert ("evaluating", 3, 3) in recorder.updates
    assert [step for step, names in recorder.metrics_at if "val/mean_iou" in names] == [
        1,
        2,
        3,
    ]  # a quarter, rounded up

    resumed = train(output=report.output, resume=True, device="cpu")
    assert (resumed.iterations, resumed.best, resumed.images_per_s) == (3, report.best, 0)
    with pytest.raises(ConfigError, match=r"differs in iterations \(3, now 4\)"):
        train(output=report.output, resume=True, iterations=4, device="cpu")


def test_states_on_disk_keep_the_names_of_the_first_version(scenes, tmp_path):
    train("tiny", overrides={"data.root": scenes}, iterations=1, output=tmp_path, device="cpu")
    state = torch.load(RunFolder(tmp_path).state, weights_only=True)
    assert {"Telemetry", "Scoring"} <= state["callbacks"].keys()
    assert state["callbacks"]["Telemetry"].keys() == {"seconds", "losses", "passes"}


def test_a_dry_run_checks_and_writes_nothing(scenes, tmp_path):
    report = train("tiny", overrides=[f"data.root={scenes}"], output=tmp_path / "run", device="cpu", dry_run=True)
    assert (report.output, report.iterations, report.best_mean_iou) == (None, 0, None)
    assert (report.check.train_images, report.check.val_images, report.check.device) == (6, 3, "cpu")
    assert report.to_dict()["loss"] == report.check.loss
    assert not (tmp_path / "run").exists()


def test_a_run_on_your_own_data(tmp_path):
    scenes = write_block_scenes(tmp_path / "scenes", train=2, val=1)
    path = tmp_path / "streets.yaml"
    path.write_text(f"""
classes: [{", ".join(f"class_{index}" for index in range(19))}]
root: {scenes}
image_suffix: _leftImg8bit.png
mask_suffix: _gtFine_labelTrainIds.png
splits:
  train: {{images: leftImg8bit/train, masks: gtFine/train}}
  val: {{images: leftImg8bit/val, masks: gtFine/val}}
""")
    small = {"data.workers": 0, "batch_size": 2, "model.options.width": 0.25}
    recorder = Recorder()
    report = train(path, overrides=small, iterations=2, output=tmp_path / "run", device="cpu", progress=recorder)
    assert report.best["iteration"] in (1, 2)
    assert recorder.messages == []
    assert ("counting pixels of classes", 2, 2) in recorder.updates


class FailsAt(NullProgress):
    def __init__(self, iteration):
        self.iteration = iteration

    def update(self, task, done, total, *, unit="items"):
        if (task, done) == ("training", self.iteration):
            raise RuntimeError("no such kernel")


def test_a_failed_start_leaves_nothing_that_blocks_the_next_try(scenes, tmp_path):
    overrides = {"data.root": scenes, "save_every": 8, "evaluate_every": 8}
    other = tmp_path / "run" / "notes.txt"
    for existing in (False, True):
        if existing:
            other.parent.mkdir()
            other.write_text("mine")
        with pytest.raises(RuntimeError, match="no such kernel"):
            train("tiny", overrides=overrides, output=tmp_path / "run", device="cpu", progress=FailsAt(0))
        assert (tmp_path / "run").exists() is existing
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["notes.txt"]
    with pytest.raises(RuntimeError, match="no such kernel"):
        train("tiny", overrides=overrides, output=tmp_path / "run", device="cpu", progress=FailsAt(1))
    with pytest.raises(ConfigError, match="already contains a run"):  # it may be resumed, or say what went wrong
        train("tiny", overrides=overrides, output=tmp_path / "run", device="cpu")


def test_a_first_batch_that_cannot_be_read_leaves_no_folder(tmp_path):
    scenes = write_block_scenes(tmp_path / "scenes")
    for path in (scenes / "gtFine").rglob("*.png"):
        path.write_bytes(b"not an image")
    with pytest.raises(RapidSegError, match=r"labelTrainIds.png"):
        train("tiny", overrides={"data.root": scenes}, output=tmp_path / "run", device="cpu")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "name a recipe: a recipe file, a data description .*, or one of camvid/fast-scnn"),
        ({"resume": True}, "name the folder of the run to resume"),
        ({"resume": True, "output": "nothing"}, "nothing contains no run to resume"),
        ({"recipe": "tiny", "overrides": {"data.root": "."}}, "choose a folder for the run"),
        ({"recipe": "missing.yaml", "output": "run"}, "cannot read the recipe missing.yaml: no such file"),
    ],
)
def test_missing_arguments_are_named(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=message):
        train(arguments.pop("recipe", None), **arguments)


def test_a_stopped_run_is_a_keyboard_interrupt_that_says_where():
    assert issubclass(TrainingStopped, KeyboardInterrupt)
    assert str(TrainingStopped(7, 2)) == "stopped after iteration 7"

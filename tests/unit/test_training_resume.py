"""Interrupted runs resume exactly: the same weights, bit by bit, the same metrics, the same best."""

from __future__ import annotations

import json
import signal

import pytest
import torch
from safetensors.torch import load_file

from rapidseg.core.progress import NullProgress
from rapidseg.training import TrainingStopped, load_recipe, train
from rapidseg.training.json_lines import JsonLinesLogger
from rapidseg.training.stopping import StopRequested, StopSignals
from tests.support.block_scenes import write_block_scenes

MEASURED = ("time", "train/images_per_s", "train/data_wait_share")  # what differs from run to run


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    return write_block_scenes(tmp_path_factory.mktemp("scenes"))


def receive(number):
    """Calls the handler of a signal. tests/cli sends real ones, to a process of its own."""
    signal.getsignal(number)(number, None)


class Interrupter(NullProgress):
    """Sends a signal after an iteration, or during an evaluation."""

    def __init__(self, iteration=None, scored=None, number=signal.SIGTERM):
        self.iteration, self.scored, self.number = iteration, scored, number

    def update(self, task, done, total, *, unit="items"):
        if (task, done) == ("training", self.iteration):
            receive(self.number)
        if (task, done) == ("evaluating", self.scored):
            self.scored = None
            receive(self.number)


class Killer(NullProgress):
    """Ends a run as a crash does: nothing is saved."""

    def update(self, task, done, total, *, unit="items"):
        if (task, done) == ("training", 7):
            raise RuntimeError("crash")


def recipe(scenes, *overrides):
    return load_recipe("tiny", [f"data.root={scenes}", "save_every=3", *overrides])


def metrics(folder):
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key not in MEASURED} for line in lines]


def assert_same_runs(first_run, second_run):
    for name in ("last.safetensors", "best.safetensors"):
        first, second = load_file(first_run / name), load_file(second_run / name)
        assert first.keys() == second.keys()
        assert all(torch.equal(first[key], second[key]) for key in first), name
    assert metrics(first_run) == metrics(second_run)


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["ema_decay=null", "accumulate=2", "data.workers=1"],
        ["optimizer={kind: adamw, lr: 1e-3, weight_decay: 0.02}", "precision=bf16", "data.augmentation.flip=1"],
    ],
)
def test_a_run_stopped_again_and_again_ends_like_one_that_was_not(scenes, tmp_path, overrides):
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    run = recipe(scenes, *overrides)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    expected = train(run, whole, device="cpu")

    with pytest.raises(TrainingStopped) as stop:
        train(run, parts, device="cpu", progress=Interrupter(iteration=3))
    assert (stop.value.iteration, stop.value.signal_number) == (3, signal.SIGTERM)
    with pytest.raises(TrainingStopped) as stop:  # in the evaluation after iteration 4
        train(None, parts, resume=True, device="cpu", progress=Interrupter(scored=2, number=signal.SIGINT))
    assert (stop.value.iteration, stop.value.signal_number) == (4, signal.SIGINT)
    with pytest.raises(TrainingStopped):  # in the same evaluation once more
        train(None, parts, resume=True, device="cpu", progress=Interrupter(scored=1))
    with pytest.raises(TrainingStopped):
        train(None, parts, resume=True, device="cpu", progress=Interrupter(iteration=5))
    report = train(None, parts, resume=True, device="cpu")

    assert (report.best, report.last) == (expected.best, expected.last)
    assert_same_runs(whole, parts)
    assert handlers == [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]


def test_a_killed_run_resumes_from_its_last_state(scenes, tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(recipe(scenes), whole, device="cpu")
    with pytest.raises(RuntimeError, match="crash"):
        train(recipe(scenes), parts, device="cpu", progress=Killer())
    assert torch.load(parts / "last.ckpt", weights_only=True)["global_step"] == 6
    train(None, parts, resume=True, device="cpu")
    assert_same_runs(whole, parts)


def test_a_run_that_was_killed_before_its_first_state_starts_again(scenes, tmp_path):
    train(recipe(scenes), tmp_path / "whole", device="cpu")
    with pytest.raises(TrainingStopped):
        train(recipe(scenes), tmp_path / "parts", device="cpu", progress=Interrupter(iteration=2))
    (tmp_path / "parts" / "last.ckpt").unlink()
    train(None, tmp_path / "parts", resume=True, device="cpu")
    assert_same_runs(tmp_path / "whole", tmp_path / "parts")


def test_a_finished_run_has_nothing_left_to_do(scenes, tmp_path):
    expected = train(recipe(scenes), tmp_path, device="cpu")
    before = (tmp_path / "last.safetensors").read_bytes()
    report = train(None, tmp_path, resume=True, device="cpu")
    assert (report.iterations, report.best, report.last) == (8, expected.best, expected.last)
    assert report.images_per_s == 0
    assert (tmp_path / "last.safetensors").read_bytes() == before


@pytest.fixture
def usual_interrupt():
    """Python's own handler of SIGINT. A process that a shell started in the background ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("usual_interrupt")
def test_the_second_signal_is_not_waited_for():
    with StopSignals() as signals:
        signals.check()
        receive(signal.SIGINT)
        with pytest.raises(StopRequested):
            signals.check()
        with pytest.raises(KeyboardInterrupt):
            receive(signal.SIGINT)


def test_the_log_drops_what_will_come_again_and_what_was_cut_short(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text('{"iteration": 2, "a": 1}\n{"iteration": 4, "a": 1}\n{"iterat')
    JsonLinesLogger(path, keep_until=3).log_metrics({"a": float("nan")}, step=4)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(line["iteration"], line["a"]) for line in lines] == [(2, 1), (4, None)]

"""A run that was stopped or killed goes on as if it had not been: same weights, bit by bit, same figures, same best."""

from __future__ import annotations

import json
import signal

import pytest
import torch
from safetensors.torch import load_file

from rapidseg.recipes import find_recipe
from rapidseg.training import TrainingStopped, load_recipe, train
from rapidseg.training.json_lines import JsonLinesLogger
from rapidseg.training.progress import NullReporter
from rapidseg.training.stopping import StopRequested, StopSignals
from tests.support.block_scenes import write_block_scenes

MEASURED = ("time", "train/images_per_s", "train/data_wait_share")  # what differs from run to run


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    return write_block_scenes(tmp_path_factory.mktemp("scenes"))


def receive(number):
    """Runs what handles a signal. tests/cli sends real ones, to a process of its own."""
    signal.getsignal(number)(number, None)


class Interrupter(NullReporter):
    """Lets a signal come after an iteration, or in the middle of an evaluation."""

    def __init__(self, iteration=None, scored=None, number=signal.SIGTERM):
        self.iteration, self.scored, self.number = iteration, scored, number

    def step(self, iteration):
        if iteration == self.iteration:
            receive(self.number)

    def evaluating(self, done, images):
        if done == self.scored:
            self.scored = None
            receive(self.number)


class Killer(NullReporter):
    """Ends a run as a crash does: nothing is saved."""

    def step(self, iteration):
        if iteration == 7:
            raise RuntimeError("crash")


def recipe(scenes, *overrides):
    return load_recipe(find_recipe("fast-scnn_tiny"), [f"data.root={scenes}", "save_every=3", *overrides])


def figures(folder):
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key not in MEASURED} for line in lines]


def assert_same_runs(one, other):
    for name in ("last.safetensors", "best.safetensors"):
        first, second = load_file(one / name), load_file(other / name)
        assert first.keys() == second.keys()
        assert all(torch.equal(first[key], second[key]) for key in first), name
    assert figures(one) == figures(other)


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
    wanted = recipe(scenes, *overrides)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    expected = train(wanted, whole, device="cpu")

    with pytest.raises(TrainingStopped) as stop:
        train(wanted, parts, device="cpu", reporter=Interrupter(iteration=3))
    assert (stop.value.iteration, stop.value.signal_number) == (3, signal.SIGTERM)
    with pytest.raises(TrainingStopped) as stop:  # in the evaluation after iteration 4
        train(None, parts, resume=True, device="cpu", reporter=Interrupter(scored=2, number=signal.SIGINT))
    assert (stop.value.iteration, stop.value.signal_number) == (4, signal.SIGINT)
    with pytest.raises(TrainingStopped):  # in the same evaluation once more
        train(None, parts, resume=True, device="cpu", reporter=Interrupter(scored=1))
    with pytest.raises(TrainingStopped):
        train(None, parts, resume=True, device="cpu", reporter=Interrupter(iteration=5))
    summary = train(None, parts, resume=True, device="cpu")

    assert (summary.best, summary.last) == (expected.best, expected.last)
    assert_same_runs(whole, parts)
    assert handlers == [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]


def test_a_killed_run_goes_on_from_its_last_state(scenes, tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(recipe(scenes), whole, device="cpu")
    with pytest.raises(RuntimeError, match="crash"):
        train(recipe(scenes), parts, device="cpu", reporter=Killer())
    assert torch.load(parts / "last.ckpt", weights_only=True)["global_step"] == 6
    train(None, parts, resume=True, device="cpu")
    assert_same_runs(whole, parts)


def test_a_run_that_was_killed_before_its_first_state_begins_again(scenes, tmp_path):
    train(recipe(scenes), tmp_path / "whole", device="cpu")
    with pytest.raises(TrainingStopped):
        train(recipe(scenes), tmp_path / "parts", device="cpu", reporter=Interrupter(iteration=2))
    (tmp_path / "parts" / "last.ckpt").unlink()
    train(None, tmp_path / "parts", resume=True, device="cpu")
    assert_same_runs(tmp_path / "whole", tmp_path / "parts")


def test_a_finished_run_has_nothing_left_to_do(scenes, tmp_path):
    expected = train(recipe(scenes), tmp_path, device="cpu")
    before = (tmp_path / "last.safetensors").read_bytes()
    summary = train(None, tmp_path, resume=True, device="cpu")
    assert (summary.iterations, summary.best, summary.last) == (8, expected.best, expected.last)
    assert summary.images_per_s == 0
    assert (tmp_path / "last.safetensors").read_bytes() == before


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

"""A saved state that is not one: `--resume` says so in one message, and the run folder stays as it was."""

from __future__ import annotations

import io
import os
import pickle
import random
import shutil
import zipfile

import numpy as np
import pytest
import torch

import rapidseg
from rapidseg.core.errors import RapidSegError, TrainingError
from rapidseg.core.progress import NullProgress
from rapidseg.training import TrainingStopped
from tests.support.block_scenes import write_block_scenes
from tests.support.class_folders import write_classes
from tests.support.fuzzing import check_message

DELETED = object()


class StopsAt(NullProgress):
    """Stops a run after some iterations, as Ctrl-C does."""

    def __init__(self, iteration):
        self.iteration = iteration

    def update(self, task, done, total, *, unit="items"):
        if (task, done) == ("training", self.iteration):
            import signal

            signal.getsignal(signal.SIGINT)(signal.SIGINT, None)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """A training run that was stopped after an evaluation and one more iteration."""
    scenes = write_block_scenes(tmp_path_factory.mktemp("scenes"))
    folder = tmp_path_factory.mktemp("runs") / "run"
    overrides = {"data.root": scenes, "evaluate_every": 2, "log_every": 1}
    with pytest.raises(TrainingStopped):
        rapidseg.train("tiny", overrides=overrides, output=folder, device="cpu", progress=StopsAt(3))
    return folder


@pytest.fixture(scope="module")
def stopped_pretraining(tmp_path_factory):
    images = write_classes(tmp_path_factory.mktemp("images"))
    folder = tmp_path_factory.mktemp("runs") / "run"
    overrides = {
        "encoder.options": {"stem": "cifar", "width": 0.125},
        "data.view.image_size": [16, 16],
        "data.val": "val",
        "evaluation.k": 5,
        "optimizer": {"kind": "adamw", "lr": 1e-3, "weight_decay": 0.0, "decay_norm_and_bias": False},
    }
    with pytest.raises(TrainingStopped):
        rapidseg.pretrain(
            "byol_cifar10",
            root=images,
            overrides=overrides,
            batch_size=16,
            epochs=2,
            output=folder,
            device="cpu",
            progress=StopsAt(4),
        )
    return folder


def files_of(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "last.ckpt"
    }


def check_refused(resume, folder):
    before = files_of(folder)
    with pytest.raises(RapidSegError) as caught:
        resume(output=folder, resume=True, device="cpu")
    check_message(caught.value, folder)
    assert files_of(folder) == before
    return caught.value


def changed(content, keys, value):
    """Returns a state in which one entry is another; mappings and lists are copied."""
    key, *rest = keys
    copy = dict(content) if isinstance(content, dict) else list(content)
    if rest:
        copy[key] = changed(copy[key], rest, value)
    elif value is DELETED:
        del copy[key]
    else:
        copy[key] = value
    return copy


def saved(content, **options):
    buffer = io.BytesIO()
    torch.save(content, buffer, **options)
    return buffer.getvalue()


def archive(*names):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name in names:
            file.writestr(name, b"x" * 100)
    return buffer.getvalue()


def cyclic():
    content = {}
    content["state_dict"] = content
    return content


class Runs:
    def __reduce__(self):
        return os.system, ("true",)


def odd_files(good):
    """Yields names and bytes of files that are no states."""
    yield "empty", b""
    yield "text", b"not a checkpoint"
    yield "web page", b"<!DOCTYPE html><html></html>"
    yield "zeros", bytes(1000)
    yield "image", b"\x89PNG\r\n\x1a\n" + bytes(100)
    yield "zip", archive("a.txt")
    yield "zip of a checkpoint's names", archive("archive/data.pkl", "archive/version", "archive/data/0")
    yield "pickle", pickle.dumps({"global_step": 3})
    yield "code", pickle.dumps(Runs())
    yield "code in an archive", saved({"global_step": Runs(), "state_dict": {}})
    yield "tensor", saved(torch.zeros(3))
    yield "list", saved([1, 2])
    yield "number", saved(7)
    yield "empty dictionary", saved({})
    yield "weights alone", saved({"w": torch.zeros(3)})
    yield "numpy", saved({"global_step": np.float64(3)})
    yield "itself", saved(cyclic())
    yield "old format", saved({"global_step": 3}, _use_new_zipfile_serialization=False)
    for share in (0.01, 0.3, 0.6, 0.99):
        yield f"cut at {share}", good[: int(len(good) * share)]
    yield "without its beginning", good[100:]
    yield "with more at its end", good + bytes(70_000)
    for seed in range(6):
        generator = random.Random(seed)
        damaged = bytearray(good)
        for _ in range(10):
            damaged[generator.randrange(len(damaged))] ^= 1 << generator.randrange(8)
        yield f"bits {seed}", bytes(damaged)


VALUES = (DELETED, None, "text", -1, [], {}, float("nan"), torch.zeros(0))


def odd_entries(content):
    """Yields keys of entries of a state, and what they are replaced by."""
    for key in content:
        if key == "epoch":  # not used
            continue
        for value in VALUES:
            if type(value) is type(content[key]) and value == content[key]:
                continue
            if key == "rapidseg_run" and (value is DELETED or value is None):
                continue  # states of earlier versions record nothing
            yield (key,), value
    name = next(iter(content["state_dict"]))
    nested = (
        ("state_dict", name),
        ("optimizer_states", 0),
        ("optimizer_states", 0, "param_groups"),
        ("lr_schedulers", 0),
        ("loops", "fit_loop"),
        ("callbacks", "Telemetry"),
        ("random_state", "cpu"),
        ("random_state", "cuda"),
        ("rapidseg_run", "recipe"),
        ("rapidseg_run", "images"),
        ("loops", "fit_loop", "epoch_loop.automatic_optimization.optim_progress", "optimizer", "step", "total"),
    )
    for keys in nested:
        entry = content
        for key in keys[:-1]:
            entry = entry.get(key) if isinstance(entry, dict) else entry[key]
            if entry is None:
                break
        if entry is None or (isinstance(entry, dict) and keys[-1] not in entry):
            continue
        for value in (DELETED, None, "text", 10**9):
            yield keys, value
    yield ("state_dict", name), torch.zeros(1, 2)
    yield ("global_step",), 10**9
    yield ("global_step",), 2


@pytest.mark.parametrize("kind", ["train", "pretrain"])
def test_a_file_that_is_not_a_state_is_refused(kind, stopped, stopped_pretraining, tmp_path):
    source, resume = (stopped, rapidseg.train) if kind == "train" else (stopped_pretraining, rapidseg.pretrain)
    folder = tmp_path / "run"
    shutil.copytree(source, folder)
    for name, data in odd_files((source / "last.ckpt").read_bytes()):
        (folder / "last.ckpt").write_bytes(data)
        error = check_refused(resume, folder)
        assert isinstance(error, TrainingError), name
        assert "start a new run in another folder" in str(error), name


@pytest.mark.parametrize("kind", ["folder", "pipe", "link to nothing", "link to itself"])
def test_something_else_in_the_place_of_a_state_is_refused(kind, stopped, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(stopped, folder)
    state = folder / "last.ckpt"
    state.unlink()
    if kind == "folder":
        state.mkdir()
    elif kind == "pipe":
        os.mkfifo(state)
    else:
        state.symlink_to(state.name if kind == "link to itself" else "nothing")
    assert isinstance(check_refused(rapidseg.train, folder), TrainingError)


def check_entries(source, resume, folder, entries):
    """Checks that each change of a state is refused, and returns those that are not."""
    good, accepted = torch.load(source / "last.ckpt", weights_only=True), []
    for keys, value in entries(good):
        shutil.copytree(source, folder)
        torch.save(changed(good, keys, value), folder / "last.ckpt")
        try:
            check_refused(resume, folder)
        except (Exception, pytest.fail.Exception) as error:
            accepted.append((keys, str(value)[:20], f"{type(error).__name__}: {str(error)[:300]}"))
        shutil.rmtree(folder)
    return accepted


def some_entries(content):
    yield ("state_dict",), DELETED
    yield ("state_dict", next(iter(content["state_dict"]))), torch.zeros(1, 2)
    yield ("optimizer_states", 0, "state"), {0: {"momentum_buffer": torch.zeros(1, 2)}}
    yield ("random_state" if "random_state" in content else "num_images",), None
    yield ("rapidseg_run", "recipe"), 3
    yield ("global_step",), 10**9


@pytest.mark.parametrize("kind", ["train", "pretrain"])
def test_a_state_without_an_entry_or_with_another_is_refused(kind, stopped, stopped_pretraining, tmp_path):
    source, resume = (stopped, rapidseg.train) if kind == "train" else (stopped_pretraining, rapidseg.pretrain)
    assert check_entries(source, resume, tmp_path / "run", some_entries) == []


@pytest.mark.faults
@pytest.mark.parametrize("kind", ["train", "pretrain"])
def test_every_other_entry_of_a_state_is_refused(kind, stopped, stopped_pretraining, tmp_path):
    source, resume = (stopped, rapidseg.train) if kind == "train" else (stopped_pretraining, rapidseg.pretrain)
    accepted = check_entries(source, resume, tmp_path / "run", odd_entries)
    assert not accepted, "\n".join(map(str, accepted))

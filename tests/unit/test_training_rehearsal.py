"""The pass before a run: what the network cannot compute is one message, and nothing is written or changed."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import rapidseg
from rapidseg.core.errors import ConfigError, InputError, TrainingError
from rapidseg.core.progress import NullProgress
from rapidseg.pretraining import preparation as pretraining_preparation
from rapidseg.recipes.recipe_file import load_recipe
from rapidseg.training import rehearsal
from rapidseg.training.preparation import prepare, rehearse_step
from rapidseg.training.rehearsal import StepPass, rehearse
from tests.support.block_scenes import write_block_scenes
from tests.support.class_folders import write_classes

STEP = StepPass(2, (32, 64), "raise batch_size", "lower batch_size")
SHARED = {
    "encoder.options": {"stem": "cifar", "width": 0.125},
    "data.view.image_size": [16, 16],
    "data.val": None,
}
PRETRAINING = {**SHARED, "method.feature_dim": 8, "method.m": 8}


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    return write_block_scenes(tmp_path_factory.mktemp("scenes"))


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return write_classes(tmp_path_factory.mktemp("images"), train=8)


@pytest.mark.parametrize(
    ("overrides", "advice"),
    [
        ({"batch_size": 1}, "1 image of 64x96 pixels: raise batch_size"),
        ({"batch_size": 3, "accumulate": 3}, "1 image of 64x96 pixels: raise batch_size or lower accumulate"),
        ({"batch_size": 1, "precision": "bf16", "ema_decay": None}, "1 image of 64x96 pixels: raise batch_size"),
    ],
)
@pytest.mark.parametrize("dry_run", [False, True])
def test_a_pass_of_one_image_is_refused_before_anything_is_written(overrides, advice, dry_run, scenes, tmp_path):
    output = tmp_path / "runs" / "a" / "b"
    with pytest.raises(ConfigError) as caught:
        rapidseg.train(
            "tiny", overrides={"data.root": scenes, **overrides}, output=output, device="cpu", dry_run=dry_run
        )
    assert str(caught.value) == (f"batch normalization needs at least 2 images a pass, and this recipe has {advice}")
    assert not any(tmp_path.iterdir())


def test_a_network_without_global_statistics_trains_with_one_image(scenes, tmp_path):
    overrides = {
        "data.root": scenes,
        "batch_size": 1,
        "iterations": 1,
        "schedule.warmup_iterations": 0,
        "model": {"name": "fastfcn", "options": {"backbone": "resnet18", "width": 0.125, "head": "fcn"}},
        "loss.head_weights": {"logits": 1.0, "aux_0_logits": 0.4},
    }
    report = rapidseg.train("tiny", overrides=overrides, output=tmp_path / "run", device="cpu", dry_run=True)
    assert report.check is not None


def no_memory(*_):
    raise RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory: 4 TB")


@pytest.mark.parametrize("kind", ["train", "pretrain"])
def test_a_pass_that_does_not_fit_is_one_sentence(kind, scenes, images, tmp_path, monkeypatch):
    if kind == "train":
        monkeypatch.setattr("rapidseg.training.module.TrainingModule.compute_loss", no_memory)
    else:
        monkeypatch.setattr("rapidseg.pretraining.module.PretrainingModule.compute_loss", no_memory)
    with pytest.raises(ConfigError) as caught:
        start(kind, scenes, images, tmp_path / "run")
    assert "does not fit in memory; lower batch_size, " in str(caught.value)
    assert ("raise accumulate" in str(caught.value)) == (kind == "train")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("kind", ["train", "pretrain"])
def test_a_pass_that_would_not_fit_is_not_tried(kind, scenes, images, tmp_path, monkeypatch):
    monkeypatch.setattr(rehearsal, "_MIN_ESTIMATED", 0)
    monkeypatch.setattr(rehearsal, "available_memory_bytes", lambda: 10_000)
    with pytest.raises(
        ConfigError, match=r"does not fit in memory \(at least .* GB, and 1e-05 GB are available\); lower"
    ):
        start(kind, scenes, images, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def start(kind, scenes, images, output, **options):
    if kind == "train":
        return rapidseg.train("tiny", overrides={"data.root": scenes}, output=output, device="cpu", **options)
    return rapidseg.pretrain(
        root=images, overrides=PRETRAINING, batch_size=8, epochs=1, output=output, device="cpu", **options
    )


class Fails(NullProgress):
    """Fails as a machine without memory does, after some iterations."""

    def __init__(self, iteration):
        self.iteration = iteration

    def update(self, task, done, total, *, unit="items"):
        if (task, done) == ("training", self.iteration):
            no_memory()


@pytest.mark.parametrize("kind", ["train", "pretrain"])
@pytest.mark.parametrize("iteration", [0, 1])
def test_memory_that_runs_out_later_is_one_sentence_too(kind, iteration, scenes, images, tmp_path):
    output = tmp_path / "new" / "run"
    with pytest.raises(TrainingError, match=f"^memory ran out after iteration {iteration}: one pass of .* lower batch"):
        start(kind, scenes, images, output, progress=Fails(iteration))
    assert output.exists() == output.parent.exists() == (iteration > 0)


def test_a_rehearsal_changes_nothing(scenes):
    prepared = prepare(load_recipe("tiny", [f"data.root={scenes}"]), "cpu")
    module = prepared.module
    before = {name: tensor.clone() for name, tensor in (*module.named_parameters(), *module.named_buffers())}
    random = torch.get_rng_state()
    rehearse_step(module.recipe, prepared)
    after = dict((*module.named_parameters(), *module.named_buffers()))
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert all(parameter.grad is None for parameter in module.parameters())
    assert torch.equal(random, torch.get_rng_state())
    assert module.training


@pytest.mark.parametrize("error", [RuntimeError("size mismatch"), ValueError("bad"), IndexError("x" * 1000)])
def test_what_the_network_says_is_cut_to_one_line(error):
    def fail(images, size_hw):
        raise error

    with pytest.raises(
        ConfigError, match=r"^the network cannot compute one pass of 2 images of 32x64 pixels \("
    ) as caught:
        rehearse(nn.Linear(1, 1), fail, STEP, device="cpu", precision="float32")
    assert len(str(caught.value)) < 400


def test_an_error_for_users_stays_as_it_is():
    def fail(images, size_hw):
        raise InputError("mine")

    with pytest.raises(InputError, match=r"^mine$"):
        rehearse(nn.Linear(1, 1), fail, STEP, device="cpu", precision="float32")


def test_a_loss_that_is_not_finite_is_refused_in_a_dry_run(scenes):
    overrides = {"data.root": scenes, "loss.head_weights": {"logits": 1e6, "aux_0_logits": 1.0}}
    assert rapidseg.train("tiny", overrides=overrides, dry_run=True, device="cpu").check is not None
    with pytest.raises(TrainingError, match=r"^the loss of the first batch is nan; check the images"):
        rehearsal.check_finite(torch.tensor(float("nan")))


def test_pretraining_uses_the_batch_of_the_run(images):
    recipe = rapidseg.recipes.recipe_file.load_pretraining_recipe(
        "byol_cifar10",
        {**{k: v for k, v in PRETRAINING.items() if "method" not in k}, "data.root": images, "batch_size": 500},
    )
    prepared = pretraining_preparation.prepare_pretraining(recipe, "cpu")
    step = pretraining_preparation.pretraining_pass(recipe, prepared)
    assert (step.images, step.size_hw) == (24, (16, 16))

"""Whole runs of seconds: what they leave behind, what stops them, and what they refuse."""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import shutil
import subprocess
import sys

import pytest
import torch

from rapidseg.core.errors import ConfigError, DatasetError, InputError, TrainingError
from rapidseg.core.labels import CITYSCAPES
from rapidseg.models import load_model
from rapidseg.training import load_recipe, train
from rapidseg.training.preparation import check_run, count_class_pixels, prepare
from tests.support.block_scenes import CITY, write_block_scenes


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    return write_block_scenes(tmp_path_factory.mktemp("scenes"))


def tiny(root, *overrides):
    return load_recipe("tiny", [f"data.root={root}", *overrides])


def read_log(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def finished(scenes, tmp_path_factory):
    """A run with the tiny recipe: its recipe, report and folder."""
    folder = tmp_path_factory.mktemp("runs") / "first"
    recipe = tiny(scenes)
    return recipe, train(recipe, folder, device="cpu", command=["rapidseg", "train", "a b"]), folder


def test_a_run_leaves_weights_that_say_what_they_are(finished):
    recipe, report, folder = finished
    assert (report.iterations, report.best_weights) == (8, folder / "best.safetensors")
    for path, figures in ((report.best_weights, report.best), (report.last_weights, report.last)):
        model = load_model(path)
        assert model.spec.labels == CITYSCAPES
        assert model.spec.dataset == "cityscapes train"
        assert model.spec.input_short_side == recipe.model.input_short_side
        (score,) = model.spec.scores
        assert (score.dataset, score.split, score.mean_iou) == ("cityscapes", "val", figures["mean_iou"])
        assert score.protocol == "whole image, single scale, short side resized to 64 pixels"


def test_a_run_writes_its_whole_recipe_and_what_it_ran_with(finished):
    recipe, _, folder = finished
    assert load_recipe(folder / "recipe.yaml") == recipe
    first, second, *_ = (folder / "recipe.yaml").read_text().splitlines()
    assert first == "# command: rapidseg train 'a b'"
    assert f"torch {torch.__version__}" in second


def test_figures_go_to_json_lines_and_to_tensorboard(finished):
    _, report, folder = finished
    training = [line for line in read_log(folder) if "train/loss" in line]
    scores = [line for line in read_log(folder) if "val/mean_iou" in line]
    assert [line["iteration"] for line in training] == [2, 4, 6, 8]
    assert [line["iteration"] for line in scores] == [4, 8]
    assert training[-1]["train/learning_rate"] == 1e-4
    assert 0 <= training[0]["train/data_wait_share"] <= 1
    assert training[0]["train/loss"] == pytest.approx(training[0]["train/logits"] + training[0]["train/aux_0_logits"])
    assert scores[-1]["val/mean_iou"] == report.last["mean_iou"]
    assert "val/iou/road" in scores[-1]
    assert any((folder / "tensorboard").glob("events*"))


def test_the_saved_state_can_be_read_without_running_code(finished):
    _, _, folder = finished
    assert torch.load(folder / "last.ckpt", weights_only=True)["global_step"] == 8


def test_the_moving_average_is_what_is_stored(finished):
    _, _, folder = finished
    state = torch.load(folder / "last.ckpt", weights_only=True)
    name = "classifier.3.bias"
    stored = load_model(folder / "last.safetensors").state_dict()[name]
    assert torch.equal(stored, state["state_dict"][f"model.{name}"])
    assert not torch.equal(stored, state["current_model_state"][f"model.{name}"])


def test_a_run_learns(scenes, tmp_path):
    recipe = tiny(scenes, "iterations=60", "data.val=null", "optimizer.lr=0.1", "log_every=20")
    report = train(recipe, tmp_path, device="cpu")
    losses = [line["train/loss"] for line in read_log(tmp_path)]
    assert losses[-1] < 0.75 * losses[0]
    assert (report.best, report.last, report.best_weights) == (None, None, None)
    assert load_model(report.last_weights).spec.scores == ()


@pytest.mark.parametrize(
    "overrides",
    [
        ["optimizer={kind: adamw, lr: 1e-3, weight_decay: 0.02, decay_norm_and_bias: false}", "precision=bf16"],
        ["loss.kind=sigmoid", "loss.class_weights=balanced", "loss.ohem.kept_share=0.5", "clip_gradient_norm=1"],
        ["ema_decay=null", "accumulate=2", "data.workers=1", "schedule={kind: cosine, eta_min: 0}", "data.cache=true"],
    ],
)
def test_other_ways_to_train(scenes, tmp_path, overrides):
    report = train(tiny(scenes, *overrides), tmp_path, device="cpu")
    assert report.iterations == 8
    assert all(math.isfinite(line["train/loss"]) for line in read_log(tmp_path) if "train/loss" in line)


def test_labels_that_are_all_ignored_give_a_loss_of_zero(tmp_path):
    scenes = write_block_scenes(tmp_path / "scenes", labeled=False)
    train(tiny(scenes, "data.val=null"), tmp_path / "run", device="cpu")
    assert [line["train/loss"] for line in read_log(tmp_path / "run")] == [0.0] * 4


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_last_good_state(scenes, tmp_path):
    recipe = tiny(scenes, "optimizer.lr=1e30", "schedule.warmup_iterations=0", "save_every=1")
    with pytest.raises(TrainingError) as error:
        train(recipe, tmp_path, device="cpu")
    message = str(error.value)
    assert "the loss is nan at iteration 2, for the images " in message
    assert message.count(f"{CITY}/{CITY}_") == 4
    assert "the weights have grown to" in message
    assert "lower optimizer.lr" in message
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["global_step"] == 1


def test_a_broken_image_is_named_without_a_traceback(tmp_path):
    scenes = write_block_scenes(tmp_path / "scenes")
    for path in (scenes / "gtFine").rglob("*.png"):
        path.write_bytes(b"no image")
    with pytest.raises(Exception, match=r"labelTrainIds.png") as error:
        train(tiny(scenes, "data.workers=1"), tmp_path / "run", device="cpu")
    assert "Traceback" not in str(error.value)


def test_a_folder_that_holds_a_run_is_left_alone(finished):
    recipe, _, folder = finished
    before = (folder / "recipe.yaml").read_text()
    with pytest.raises(ConfigError, match=r"already contains a run; resume it .* or choose another"):
        train(recipe, folder, device="cpu")
    assert (folder / "recipe.yaml").read_text() == before


def test_an_output_that_is_a_file_is_refused(finished, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is a file; results are written to a folder, choose another name"):
        train(finished[0], tmp_path / "file", device="cpu")


def test_a_run_does_not_resume_with_an_edited_recipe_or_other_images(finished, scenes, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(finished[2], folder)
    text = (folder / "recipe.yaml").read_text()
    (folder / "recipe.yaml").write_text(text.replace("iterations: 8", "iterations: 9"))
    with pytest.raises(ConfigError, match=r"recipe\.yaml was edited .*; it differs in iterations \(8, now 9\) from"):
        train(None, folder, resume=True, device="cpu")
    (folder / "recipe.yaml").write_text(text)
    moved = tmp_path / "moved"
    shutil.copytree(scenes, moved)
    assert train(tiny(moved), folder, resume=True, device="cpu").iterations == 8
    for path in [path for path in moved.rglob("*.png") if "val" in path.parts]:
        path.rename(path.with_name(f"x{path.name}"))
    with pytest.raises(TrainingError, match=r"the images of data\.val \(val\) changed: .* with other names; resume"):
        train(tiny(moved), folder, resume=True, device="cpu")


def test_nothing_to_resume(finished, tmp_path):
    with pytest.raises(ConfigError, match="contains no run to resume; start one without --resume"):
        train(finished[0], tmp_path, resume=True, device="cpu")
    with pytest.raises(ConfigError, match="a new run needs a recipe"):
        train(None, tmp_path, device="cpu")


def test_a_run_resumes_with_its_own_recipe_only(finished, scenes):
    _, _, folder = finished
    with pytest.raises(ConfigError, match=r"differs in optimizer.lr \(0.05, now 0.1\). To resume it with its own"):
        train(tiny(scenes, "optimizer.lr=0.1"), folder, resume=True, device="cpu")
    train(tiny(scenes, "data.workers=1", "log_every=1"), folder, resume=True, device="cpu")


def test_a_state_that_cannot_be_read(finished, tmp_path):
    _, _, folder = finished
    shutil.copytree(folder, tmp_path / "run")
    state = tmp_path / "run" / "last.ckpt"
    state.write_bytes(state.read_bytes()[:1000])
    with pytest.raises(TrainingError, match=r"cannot read .*last.ckpt, the saved state of the run .* start a new run"):
        train(None, tmp_path / "run", resume=True, device="cpu")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.options.widht=1", "unknown option 'widht' of fast-scnn (did you mean 'width'?)"),
        ("model.options.aux_heads=[]", "loss.head_weights has 'aux_0_logits', but the network has no such output"),
        (
            "loss.head_weights={logits: 1}",
            "the output 'aux_0_logits', but the loss has no weight for it",
        ),
        ("loss.class_weights=[1, 2]", "2 class weights for 19 classes"),
        ("precision=fp16", "precision fp16 needs a CUDA GPU; use bf16 or float32 on a CPU"),
        (
            "data.augmentation={crop_size: [64, 64], scale_range: [1, 1], copy_paste: 1, copy_paste_classes: [cra]}",
            "did you mean 'car'?",
        ),
    ],
)
def test_recipes_that_do_not_fit_are_refused_before_anything_is_written(scenes, tmp_path, override, message):
    with pytest.raises(ConfigError) as error:
        train(tiny(scenes, override), tmp_path / "run", device="cpu")
    assert message in str(error.value)
    assert not (tmp_path / "run").exists()


def test_devices(scenes):
    with pytest.raises(ConfigError, match="unknown device 'tpu'; use auto, cpu or cuda"):
        prepare(tiny(scenes), "tpu")


def test_a_dry_run_tells_what_would_be_trained(scenes):
    check = check_run(tiny(scenes), "cpu")
    assert (check.train_images, check.val_images, check.device) == (6, 3, "cpu")
    assert check.loss == pytest.approx(sum(check.loss_parts.values()))


def test_a_dry_run_ends_its_workers(scenes):
    check_run(tiny(scenes, "data.workers=1"), "cpu")
    assert multiprocessing.active_children() == []


def test_extra_data_join_the_training_data(scenes, tmp_path):
    more = write_block_scenes(tmp_path, train=2)
    extra = f"data.extra_datasets=[{{name: cityscapes, root: {more}, split: train, repeat: 3}}]"
    prepared = prepare(tiny(scenes, extra), "cpu")
    assert len(prepared.train) == 6 + 3 * 2
    assert prepared.module.model.spec.dataset == "cityscapes train"


def test_weight_decay_can_leave_scales_and_offsets_alone(scenes):
    module = prepare(tiny(scenes, "optimizer.decay_norm_and_bias=false"), "cpu").module
    kernels, others = module.configure_optimizers()["optimizer"].param_groups
    assert (kernels["weight_decay"], others["weight_decay"]) == (4e-5, 0)
    assert {parameter.ndim for parameter in kernels["params"]} == {4}
    assert {parameter.ndim for parameter in others["params"]} == {1}
    assert len(kernels["params"]) + len(others["params"]) == len(list(module.model.parameters()))


def test_the_momentum_of_batch_normalization_is_the_recipes(scenes):
    model = prepare(tiny(scenes, "model.bn_momentum=0.01"), "cpu").module.model
    momenta = {layer.momentum for layer in model.modules() if isinstance(layer, torch.nn.BatchNorm2d)}
    assert momenta == {0.01}


def test_pixels_are_counted_by_class(scenes, tmp_path):
    counts = count_class_pixels(prepare(tiny(scenes), "cpu").train)
    assert counts.shape == (19,)
    assert counts.sum() == 6 * 91 * 128  # five rows are ignored
    empty = write_block_scenes(tmp_path, labeled=False)
    with pytest.raises(DatasetError, match="every pixel is ignored, so there is nothing to learn"):
        prepare(tiny(empty, "loss.class_weights=balanced"), "cpu")


def test_importing_train_sets_the_threads_before_pytorch_comes():
    # In a process of its own: this one has PyTorch already.
    script = (
        "import os, sys, rapidseg.training as training\n"
        "assert 'torch' not in sys.modules\n"
        "training.train\n"
        "assert 'torch' in sys.modules\n"
        "print(os.environ['OMP_WAIT_POLICY'])\n"
    )
    environment = {key: value for key, value in os.environ.items() if key != "OMP_WAIT_POLICY"}
    for chosen, expected in (({}, "PASSIVE"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE")):
        run = subprocess.run([sys.executable, "-c", script], env=environment | chosen, capture_output=True, text=True)
        assert (run.stdout.strip(), run.returncode) == (expected, 0), run.stderr

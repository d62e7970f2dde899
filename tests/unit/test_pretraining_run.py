"""Whole pre-training runs of seconds: what they leave behind, how they resume, and what they refuse."""

from __future__ import annotations

import csv
import json
import re
import shutil
import signal
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import rapidseg
from rapidseg.core.errors import ConfigError, DatasetError, InputError, SplitError, TrainingError
from rapidseg.core.progress import NullProgress
from rapidseg.data.classification import open_images
from rapidseg.pretraining import load_encoder
from rapidseg.recipes.catalog import recipe_names
from rapidseg.recipes.recipe_file import load_pretraining_recipe
from rapidseg.training import TrainingStopped
from tests.support.cifar_files import write_cifar
from tests.support.class_folders import write_classes

TINY = {
    "encoder.options": {"stem": "cifar", "width": 0.125},
    "data.view.image_size": [16, 16],
    "save_every": 3,
    "log_every": 2,
}
SIZES = {"batch_size": 16, "epochs": 2, "k": 5}


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """48 images of 16x16 pixels in three classes."""
    return write_classes(tmp_path_factory.mktemp("images"))


def pretrain(root, output, recipe="instance-discrimination_cifar10", overrides=None, **options):
    if recipe == "instance-discrimination_cifar10":
        options = {"feature_dim": 8, "m": 8, **options}
    return rapidseg.pretrain(
        recipe,
        root=root,
        overrides={**TINY, "data.val": "val", **(overrides or {})},
        output=output,
        device="cpu",
        **{**SIZES, **options},
    )


@pytest.fixture(scope="module")
def finished(images, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "first"
    return pretrain(images, folder), folder


def test_a_run_leaves_an_encoder_that_says_what_it_is(finished):
    report, folder = finished
    assert (report.epochs, report.iterations) == (2, 6)
    encoder = load_encoder(report.best_weights)
    assert encoder.spec.network == "resnet18"
    assert encoder.spec.method == "instance-discrimination"
    assert encoder.spec.feature_dim == 8
    assert encoder.spec.image_size == (16, 16)
    assert encoder.spec.scores == {"top1": report.best["top1"], "top5": report.best["top5"]}
    assert load_encoder(folder / "last.safetensors").spec.scores["top1"] == report.last["top1"]
    assert report.best["top5"] == 1.0  # of three classes


def test_the_table_of_results_has_the_published_columns(finished):
    report, folder = finished
    assert report.results == folder / "results" / "8_results.csv"
    rows = list(csv.DictReader(report.results.read_text().splitlines()))
    assert list(rows[0]) == ["epoch", "train_loss", "test_acc@1", "test_acc@5"]
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert float(rows[-1]["test_acc@1"]) == pytest.approx(100 * report.last["top1"], rel=1e-5)


def test_the_recipe_and_the_log_are_written(finished, images):
    _, folder = finished
    recipe = load_pretraining_recipe(folder / "recipe.yaml")
    assert recipe.data.root == images
    assert (recipe.method.m, recipe.evaluation.k, recipe.batch_size) == (8, 5, 16)
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert {"train/loss", "train/images_per_s", "train/data_wait_share"} <= set(lines[0])
    assert [line["iteration"] for line in lines if "val/top1" in line] == [3, 6]


class Killer(NullProgress):
    """Ends a run as a crash does: nothing is saved."""

    def update(self, task, done, total, *, unit="items"):
        if (task, done) == ("training", 5):
            raise RuntimeError("crash")


class Interrupter(NullProgress):
    """Sends a signal after an iteration, or during the scoring after the first epoch."""

    def __init__(self, moment):
        self.moment = moment

    def update(self, task, done, total, *, unit="items"):
        if self.moment is not None and self.moment in ((task, done), (task, None)):
            signal.getsignal(signal.SIGTERM)(signal.SIGTERM, None)
            self.moment = None


@pytest.mark.parametrize("recipe", ["instance-discrimination_cifar10", "byol_cifar10", "supervised_cifar10"])
@pytest.mark.parametrize("moment", [None, ("training", 4), ("scoring", None)], ids=["killed", "stopped", "scoring"])
def test_an_interrupted_run_resumes_exactly(images, tmp_path, recipe, moment):
    small = {"method.hidden_dim": 8, "method.projection_dim": 4} if recipe == "byol_cifar10" else {}
    whole = pretrain(images, tmp_path / "whole", recipe, small)
    with pytest.raises(RuntimeError if moment is None else TrainingStopped):
        pretrain(images, tmp_path / "cut", recipe, small, progress=Killer() if moment is None else Interrupter(moment))
    resumed = rapidseg.pretrain(output=tmp_path / "cut", resume=True, device="cpu")
    assert resumed.best == whole.best
    assert resumed.last == whole.last
    for name in ("best.safetensors", "last.safetensors"):
        ours, theirs = load_file(tmp_path / "cut" / name), load_file(tmp_path / "whole" / name)
        assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    assert resumed.results.read_text() == whole.results.read_text()


def test_images_larger_than_their_views_are_cut_where_they_are_decoded(tmp_path):
    root = write_classes(tmp_path / "large", size_hw=(40, 50), train=6, val=2)
    reports = [
        pretrain(root, tmp_path / f"run{workers}", "supervised_cifar10", {"data.workers": workers}, batch_size=6)
        for workers in (0, 1)
    ]
    assert reports[0].last == reports[1].last
    assert reports[0].last["top1"] > 0.3


def test_images_without_classes_need_a_method_without_labels(images, tmp_path):
    overrides = {"data.layout": "unlabeled", "data.train": "train"}
    with pytest.raises(ConfigError, match=r"scores need the class of each image, and .* has none"):
        pretrain(images, tmp_path / "run", "byol_cifar10", overrides)
    small = {"method.hidden_dim": 8, "method.projection_dim": 4}
    report = pretrain(images, tmp_path / "run", "byol_cifar10", {**overrides, **small, "data.val": None}, epochs=1)
    assert (report.best, report.best_weights) == (None, None)
    assert report.last_weights.exists()
    assert re.fullmatch(r".*\n1,\d\.\d+,,\n", report.results.read_text())
    with pytest.raises(ConfigError, match="the method 'supervised' learns the class of each image"):
        pretrain(images, tmp_path / "second", "supervised_cifar10", {**overrides, "data.val": None})


def test_cifar_in_its_binary_form(tmp_path):
    write_cifar(tmp_path / "cifar", 10, pickled=False)
    report = pretrain(
        tmp_path / "cifar",
        tmp_path / "run",
        overrides={"data.val": "test", "data.view.image_size": [32, 32]},
        epochs=1,
        batch_size=8,
        m=4,
        k=3,
    )
    assert report.epochs == 1


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"m": 49}, ConfigError, "m is 49, but there are only 48 images to draw negatives from; set m to 48 at most"),
        ({"k": 49}, ConfigError, r"k is 49, but there are only 48 training images.* set evaluation.k \(--k\) to 48"),
        ({"batch_size": 1}, InputError, "batch_size is 1; pass an integer of 2 or more"),
        ({"overrides": {"batch_size": 1}}, ConfigError, "batch_size should be greater than or equal to 2, not 1"),
        ({"batch_size": 47}, ConfigError, "the last batch of 48 images has only 1 image"),
        ({"overrides": {"data.val": "tset"}}, SplitError, "has no split 'tset'; .*; set data.val=val or data.val=null"),
        ({"overrides": {"data.train": "tarin"}}, SplitError, "; set data.train=train or data.train=val"),
        ({"overrides": {"data.train_limit": 1}}, ConfigError, "data.train_limit=1 leaves 1 image to learn from"),
        ({"overrides": {"encoder.options": {"stem": "cifr"}}}, ConfigError, "encoder.options: .*not 'cifr'"),
        (
            {"overrides": {"encoder.network": "fast-scnn"}},
            ConfigError,
            r"unknown option 'stem' of fast-scnn.*; for the defaults of fast-scnn, set encoder\.options=\{\}",
        ),
        ({"overrides": {"schedule.milestones": [0.8, 0.6]}}, ConfigError, r"rising shares .*, not \[0\.8, 0\.6\]"),
        ({"overrides": {"schedule.milestones": [0.6, 0.6]}}, ConfigError, r"rising shares of the run"),
        ({"overrides": {"schedule.milestones": [0, 0.6]}}, ConfigError, r"schedule.milestones: .* between 0 and 1"),
        ({"overrides": {"schedule.milestones": [120, 160]}}, ConfigError, r"shares .*, not \[120\.0, 160\.0\]"),
        ({"overrides": {"optimizer.lr": "x"}}, ConfigError, "yaml with optimizer.lr overridden: optimizer.lr should"),
        ({"overrides": {"data.layout": "cifar"}}, InputError, "unknown layout 'cifar'"),
        ({"overrides": {"method.negatives": 3}}, ConfigError, "unknown key 'method.negatives'"),
        ({"overrides": {"precision": "fp16"}}, ConfigError, "precision fp16 needs a CUDA GPU"),
        ({"recipe": "byol_cifar"}, ConfigError, r"unknown recipe 'byol_cifar' \(did you mean 'byol_cifar10'"),
        ({"recipe": "camvid/fast-scnn"}, ConfigError, "camvid/fast-scnn is a recipe of `rapidseg train`"),
    ],
)
def test_bad_options(images, tmp_path, options, error, message):
    with pytest.raises(error, match=message):
        pretrain(images, tmp_path / "run", **options)
    assert not (tmp_path / "run" / "recipe.yaml").exists()


def test_a_loss_that_is_not_finite(images, tmp_path):
    with pytest.raises(TrainingError, match=r"the loss is .* at iteration"):
        pretrain(images, tmp_path / "run", "supervised_cifar10", {"optimizer.lr": 1e9}, epochs=5)


def test_bad_images(tmp_path):
    with pytest.raises(ConfigError, match=r"pass the folder or \.zip file of the images: --root PATH"):
        pretrain(None, tmp_path / "run")
    root = write_classes(tmp_path / "one", train=4, val=2)
    (root / "train" / "green" / "0.png").write_bytes(b"no image")
    with pytest.raises(DatasetError, match=r"green/0\.png"):
        pretrain(root, tmp_path / "run")


def test_a_run_does_not_resume_with_other_options_or_images(finished, images, tmp_path):
    _, folder = finished
    with pytest.raises(ConfigError, match=r"it differs in method\.temperature \(0\.1, now 0\.2\)"):
        rapidseg.pretrain(folder / "recipe.yaml", overrides={"method.temperature": 0.2}, output=folder, resume=True)
    other = write_classes(tmp_path / "fewer", train=14)
    with pytest.raises(TrainingError, match="the run was started with 48 images, and now there are 42"):
        rapidseg.pretrain(folder / "recipe.yaml", root=other, output=folder, resume=True)
    with pytest.raises(ConfigError, match="already contains a run"):
        pretrain(images, folder)


def test_a_run_does_not_resume_with_an_edited_recipe(images, tmp_path):
    pretrain(images, tmp_path / "run", epochs=1)
    recipe = tmp_path / "run" / "recipe.yaml"
    text = recipe.read_text()
    recipe.write_text(text.replace("epochs: 1", "epochs: 2"))
    with pytest.raises(ConfigError, match=r"recipe\.yaml was edited .*; it differs in epochs \(1, now 2\) from"):
        rapidseg.pretrain(output=tmp_path / "run", resume=True, device="cpu")
    recipe.write_text(text.replace("log_every: 2", "log_every: 5"))
    assert rapidseg.pretrain(output=tmp_path / "run", resume=True, device="cpu").epochs == 1


def test_a_run_does_not_resume_with_renamed_images(tmp_path):
    root = write_classes(tmp_path / "images")
    pretrain(root, tmp_path / "run", epochs=1)
    state = tmp_path / "run" / "last.ckpt"
    moved = root.rename(tmp_path / "moved")

    def resume():
        return rapidseg.pretrain(tmp_path / "run" / "recipe.yaml", root=moved, output=tmp_path / "run", resume=True)

    assert resume().epochs == 1
    for split in ("train", "val"):
        image = moved / split / "red" / "0.png"
        renamed = image.rename(image.with_name("zero.png"))
        match = rf"the images of data\.{split} \({split}\) changed: .* now there are \d+ with other names; resume"
        with pytest.raises(TrainingError, match=match):
            resume()
        renamed.rename(image)
    (moved / "train" / "red" / "0.png").rename(moved / "train" / "red" / "zero.png")
    older = torch.load(state, weights_only=True)
    del older["rapidseg_run"]  # states of earlier versions do not record what the run learns from
    torch.save(older, state)
    assert resume().epochs == 1


def test_unreadable_images_are_reported_once(tmp_path):
    root = write_classes(tmp_path / "images")
    (root / "train" / "green" / "0.png").write_bytes(b"no image")
    (root / "val" / "green" / "0.png").write_bytes(b"")
    messages = []

    class Messages(NullProgress):
        def message(self, text):
            messages.append(text)

    with pytest.raises(DatasetError, match=r"to skip unreadable images, set data\.skip_unreadable=true"):
        pretrain(root, tmp_path / "run")
    pretrain(root, None, overrides={"data.skip_unreadable": True}, dry_run=True, progress=Messages())
    first, second = messages
    assert first.startswith("images train: skipped 1 unreadable image: ")
    assert second.startswith("images val: skipped 1 unreadable image: ")


@pytest.mark.parametrize("zipped", [False, True])
def test_names_of_images_do_not_depend_on_the_folders_above_them(tmp_path, zipped):
    root = write_classes(tmp_path / "deep" / "images", train=2, val=1)
    if zipped:
        root = Path(shutil.make_archive(str(tmp_path / "all"), "zip", tmp_path))
    expected = [f"{name}/{number}.png" for name in ("blue", "green", "red") for number in range(2)]
    assert open_images(root, "train").relative_names() == expected
    assert open_images(root, "train+val").relative_names()[-1] == "val/red/0.png"


def test_a_dry_run_writes_nothing(images, tmp_path):
    report = pretrain(images, tmp_path / "run", dry_run=True)
    assert (report.check.train_images, report.check.val_images, report.check.iterations) == (48, 15, 6)
    assert report.check.loss > 0
    assert report.to_dict()["device"] == "cpu"
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", recipe_names("pretraining"))
def test_the_recipes_of_the_package_are_valid(name):
    assert load_pretraining_recipe(name).epochs > 1


def test_the_defaults_of_the_published_code():
    recipe = load_pretraining_recipe("instance-discrimination_cifar10")
    method = recipe.method
    assert (method.feature_dim, method.m, method.temperature, method.momentum) == (128, 4096, 0.1, 0.5)
    assert (recipe.evaluation.k, recipe.batch_size, recipe.epochs) == (200, 128, 200)

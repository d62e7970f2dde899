"""Recipes: what is read, what is refused and in which words."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import yaml
from pydantic import ValidationError

from rapidseg.core.errors import ConfigError
from rapidseg.recipes import find_recipe, recipe_names
from rapidseg.recipes.loading import dump_recipe, flatten
from rapidseg.training import load_recipe
from rapidseg.training.schedule import learning_rate


def tiny(*overrides):
    return load_recipe(find_recipe("fast-scnn_tiny"), ["data.root=.", *overrides])


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_is_valid_but_for_the_folders_of_the_data(name):
    with pytest.raises(ConfigError, match=r"the key 'data.root' is missing; add it to the file, or write data.root="):
        load_recipe(find_recipe(name))
    extra = ["data.extra.0.root=."] if name == "fast-scnn_camvid" else []
    load_recipe(find_recipe(name), ["data.root=.", *extra])


def test_the_camvid_recipe_says_where_drawn_scenes_are_missing_and_does_without():
    with pytest.raises(ConfigError, match=r"the key 'data.extra.0.root' is missing; .*data.extra.0.root="):
        load_recipe(find_recipe("fast-scnn_camvid"), ["data.root=."])
    assert load_recipe(find_recipe("fast-scnn_camvid"), ["data.root=.", "data.extra=[]"]).data.extra == ()


def test_the_cityscapes_recipe_is_openmmlabs():
    recipe = load_recipe(find_recipe("fast-scnn_cityscapes"), ["data.root=."])
    augmentation = recipe.data.augmentation
    assert (augmentation.crop_size, augmentation.scale_range, augmentation.cat_max_ratio, augmentation.flip) == (
        (512, 1024),
        (0.5, 2.0),
        0.75,
        0.5,
    )
    assert (recipe.optimizer.kind, recipe.optimizer.lr, recipe.optimizer.momentum) == ("sgd", 0.12, 0.9)
    assert (recipe.optimizer.weight_decay, recipe.optimizer.decay_norm_and_bias) == (4e-5, True)
    assert (recipe.batch_size, recipe.micro_batch_size, recipe.iterations) == (32, 32, 160_000)
    assert (recipe.loss.kind, recipe.loss.average) == ("sigmoid", "all_pixels")
    assert recipe.loss.head_weights == {"logits": 1.0, "aux_0_logits": 0.4, "aux_1_logits": 0.4}


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("optimizer.lrr=1", "unknown key 'optimizer.lrr'; did you mean 'optimizer.lr'?"),
        ("lr=0.1", "unknown key 'lr'; did you mean 'optimizer.lr'?"),
        ("optimizer.lr=1", "unknown key 'optimizer'; did you mean 'optimizer'?"),
        ("data.augmentation.crop=[64, 64]", "did you mean 'data.augmentation.crop_size'?"),
        ("data.extra=[{kind: camvid, root: x, split: train, repat: 2}]", "did you mean 'data.extra.0.repeat'?"),
        ("optimizer.betas=[0.9, 0.99]", "'optimizer.betas', which belongs to another kind of optimizer; remove it or"),
        ("optimizer.lr=abc", "optimizer.lr: input should be a valid number, not 'abc'"),
        ("optimizer.lr='0.1'", "optimizer.lr: input should be a valid number, not '0.1'"),
        ("optimizer.lr=.nan", "optimizer.lr: input should be a finite number"),
        ("optimizer.lr=-1", "optimizer.lr: input should be greater than 0, not -1"),
        ("batch_size=4.5", "batch_size: input should be a valid integer, not 4.5"),
        ("iterations=true", "iterations: input should be a valid integer, not True"),
        ("data.augmentation.photometric.hue=1.5", "data.augmentation.photometric.hue: input should be a valid integer"),
        ("data.augmentation.scale_range=[2, 1]", "data.augmentation: scale_range must be two positive numbers"),
        ("optimizer.kind=adam", "optimizer.kind: 'adam' is unknown; allowed are 'sgd', 'adamw'"),
        ("schedule={power: 1, eta_min: 0}", "the key 'schedule.kind' is missing"),
        ("schedule={kind: poly, eta_min: 0}", "the key 'schedule.power' is missing"),
        ("loss.class_weights=balancd", "loss.class_weights: input should be 'balanced', not 'balancd'"),
        ("loss.ohem.threshold=0.7", "loss.ohem: give either min_kept (pixels an image) or kept_share"),
        ("optimizer={kind: sgd, lr: 1, weight_decay: 0, momentum: 0, nesterov: true}", "nesterov needs a momentum"),
        ("accumulate=3", "batch_size 4 cannot be split into 3 equal passes"),
        ("schedule.warmup_iterations=8", "schedule.warmup_iterations 8 must be less than iterations 8"),
        ("schedule.eta_min=1", "schedule.eta_min 1.0 is above optimizer.lr 0.05"),
        ("seed", "override 'seed' is not KEY=VALUE; write for example optimizer.lr=0.05"),
        ("optimizer.lr=[1", "override 'optimizer.lr=[1' is not valid YAML"),
        ("iterations.max=1", "override iterations.max: iterations is no section but 8, so it has no key 'max'"),
    ],
)
def test_wrong_overrides_are_refused(override, message):
    with pytest.raises(ConfigError) as error:
        tiny(override)
    assert message in str(error.value)


def test_overrides_are_yaml_values_of_any_key():
    recipe = tiny(
        "optimizer={kind: adamw, lr: 1e-3, weight_decay: 0.02}",
        "loss.ohem.kept_share=0.25",
        "loss.class_weights=[1, 2.5]",
        "data.val=null",
        "data.augmentation.crop_size=[32, 48]",
        "schedule={kind: cosine, eta_min: 0}",
    )
    assert (recipe.optimizer.kind, recipe.optimizer.lr, recipe.optimizer.betas) == ("adamw", 0.001, (0.9, 0.999))
    assert recipe.loss.ohem.kept_share == 0.25
    assert recipe.loss.class_weights == (1.0, 2.5)
    assert recipe.data.val is None
    assert recipe.data.augmentation.crop_size == (32, 48)


def test_nothing_in_a_recipe_can_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        tiny().optimizer.lr = 1.0


def test_what_is_written_reads_as_the_same_recipe(tmp_path):
    recipe = tiny("data.extra=[{kind: camvid, root: x, split: train}]", "loss.class_weights=balanced")
    path = tmp_path / "recipe.yaml"
    path.write_text(dump_recipe(recipe))
    assert load_recipe(path) == recipe


def test_flat_keys_are_those_of_overrides():
    flat = flatten(tiny())
    assert flat["optimizer.lr"] == 0.05
    assert flat["data.augmentation.crop_size"] == [64, 96]
    assert tiny(*(f"{key}={yaml.safe_dump(value, default_flow_style=True)}" for key, value in flat.items())) == tiny()


def test_relative_folders_become_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = load_recipe(find_recipe("fast-scnn_tiny"), ["data.root=scenes", "data.kind=scenes.yaml"]).data
    assert data.root == tmp_path / "scenes"
    assert data.kind == str(tmp_path / "scenes.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed: 1\nseed: 2\n", "duplicate key 'seed'"),
        ("- 1\n", "it contains a list, not keys with values; docs/training.md lists the keys of a recipe"),
        ("seed: [1\n", "is not valid YAML"),
        ("{}\n", "the key 'data' is missing"),
    ],
)
def test_files_that_are_no_recipe(tmp_path, text, message):
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as error:
        load_recipe(path)
    assert str(path) in str(error.value)
    assert message in str(error.value)


def test_a_file_that_is_not_there():
    with pytest.raises(ConfigError, match=r"cannot read missing.yaml: No such file"):
        load_recipe("missing.yaml")


def test_recipes_are_found_by_name_or_path(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("seed: 1\n")
    assert find_recipe(path) == path
    assert find_recipe("fast-scnn_tiny").name == "fast-scnn_tiny.yaml"
    with pytest.raises(ConfigError, match=r"no recipe 'fast-scnn-tiny'; did you mean 'fast-scnn_tiny'\?; give a YAML"):
        find_recipe("fast-scnn-tiny")


def test_warm_up_rises_to_the_full_rate_and_the_last_rate_is_eta_min():
    recipe = tiny("schedule.warmup_iterations=4", "schedule.warmup_start=0.2", "iterations=20")
    rates = [learning_rate(recipe, iteration) for iteration in range(25)]
    assert rates[:5] == pytest.approx([0.01, 0.02, 0.03, 0.04, 0.05])
    assert all(late < early for early, late in pairwise(rates[4:20]))
    assert rates[19:] == [recipe.schedule.eta_min] * 6


def test_cosine_falls_as_half_a_wave():
    recipe = tiny("schedule={kind: cosine, eta_min: 0.01}", "iterations=5")
    expected = [0.01 + 0.04 * (1 + math.cos(math.pi * t / 4)) / 2 for t in range(5)]
    assert [learning_rate(recipe, iteration) for iteration in range(5)] == pytest.approx(expected)


def test_a_run_of_one_iteration_has_a_rate():
    assert learning_rate(tiny("iterations=1", "schedule.warmup_iterations=0"), 0) == 0.05

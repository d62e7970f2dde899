"""Recipes: what is read, what is refused and in which words."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from rapidseg.core.errors import ConfigError
from rapidseg.core.validation import dotted_keys
from rapidseg.recipes import find_recipe, recipe_names, summarize_recipe
from rapidseg.recipes.recipe_file import dump_recipe, flatten, is_data_description, load_recipe
from rapidseg.recipes.renames import RENAMES
from rapidseg.recipes.schema import Recipe
from rapidseg.training.schedule import learning_rate


def tiny(*overrides):
    return load_recipe("tiny", ["data.root=.", *overrides])


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_is_valid_but_for_the_data(name):
    missing = (
        "data.name: name a data set"
        if name == "own-data"
        else "the key 'data.root' is missing; pass it: data.root=VALUE"
    )
    with pytest.raises(ConfigError, match=missing):
        load_recipe(name)
    overrides = {"own-data": {"data.name": "camvid"}, "camvid/fast-scnn": {"data.extra_datasets.0.root": "."}}
    load_recipe(name, {"data.root": ".", **overrides.get(name, {})})


def test_the_camvid_recipe_says_where_drawn_scenes_are_missing_and_does_without():
    with pytest.raises(
        ConfigError, match=r"the key 'data.extra_datasets.0.root' is missing; .*data.extra_datasets.0.root="
    ):
        load_recipe("camvid/fast-scnn", ["data.root=."])
    assert load_recipe("camvid/fast-scnn", ["data.root=.", "data.extra_datasets=[]"]).data.extra_datasets == ()


def test_the_cityscapes_recipe_is_openmmlabs():
    recipe = load_recipe("cityscapes/fast-scnn", ["data.root=."])
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
    assert (recipe.loss.kind, recipe.loss.reduction) == ("sigmoid", "all_pixels")
    assert recipe.loss.head_weights == {"logits": 1.0, "aux_0_logits": 0.4, "aux_1_logits": 0.4}


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("optimizer.lrr=1", "unknown key 'optimizer.lrr' (did you mean 'optimizer.lr'?)"),
        ("lr=0.1", "unknown key 'lr' (did you mean 'optimizer.lr'?)"),
        ("optimzer.lr=1", "unknown key 'optimzer' (did you mean 'optimizer'?)"),
        ("data.augmentation.crop=[64, 64]", "did you mean 'data.augmentation.crop_size'?"),
        (
            "data.extra_datasets=[{name: camvid, root: x, split: train, repat: 2}]",
            "did you mean 'data.extra_datasets.0.repeat'?",
        ),
        ("optimizer.betas=[0.9, 0.99]", "'optimizer.betas', which belongs to another kind of optimizer; remove it or"),
        ("optimizer.lr=abc", "optimizer.lr should be a number, not 'abc'"),
        ("optimizer.lr='0.1'", "optimizer.lr should be a number, not '0.1'"),
        ("optimizer.lr=.nan", "optimizer.lr should be a finite number"),
        ("model.options.width=.nan", "width should be a finite number, not nan"),
        ("model.options={pool_sizes: [1, -.inf]}", "pool_sizes should be a finite number, not -inf"),
        ("optimizer.lr=-1", "optimizer.lr should be greater than 0, not -1"),
        ("batch_size=4.5", "batch_size should be an integer, not 4.5"),
        ("iterations=true", "iterations should be an integer, not True"),
        ("data.augmentation.photometric.hue=1.5", "data.augmentation.photometric.hue should be an integer"),
        ("data.augmentation.scale_range=[2, 1]", "data.augmentation: scale_range must be two positive numbers"),
        ("optimizer.kind=adam", "optimizer.kind: 'adam' is unknown; allowed are 'sgd', 'adamw'"),
        ("schedule={power: 1, eta_min: 0}", "the key 'schedule.kind' is missing"),
        ("schedule={kind: poly, eta_min: 0}", "the key 'schedule.power' is missing"),
        ("loss.class_weights=balancd", "loss.class_weights should be a list or 'balanced', not 'balancd'"),
        ("loss.ohem.threshold=0.7", "loss.ohem: set either min_kept (pixels per image) or kept_share"),
        ("optimizer={kind: sgd, lr: 1, weight_decay: 0, momentum: 0, nesterov: true}", "nesterov needs a momentum"),
        ("accumulate=3", "batch_size 4 cannot be split into 3 equal micro-batches"),
        ("schedule.warmup_iterations=8", "schedule.warmup_iterations 8 must be less than iterations 8"),
        ("schedule.eta_min=1", "schedule.eta_min 1.0 is above optimizer.lr 0.05"),
        ("seed=18446744073709551616", "seed should be less than 9223372036854775808"),
        ("seed=" + "9" * 40, "seed has more than 64 bits"),
        ("seed=" + "9" * 5000, "is not valid YAML at line 1: a number of 5,000 characters"),
        ("batch_size=1000000", "batch_size should be less than or equal to 100000, not 1000000"),
        ("data.workers=1000000", "data.workers should be less than or equal to 256, not 1000000"),
        ("data.augmentation.crop_size=[1000000, 64]", "data.augmentation.crop_size.0 should be less than or equal to"),
        (
            "data.augmentation.scale_range=[.nan, 1]",
            "data.augmentation.scale_range.0 should be a finite number, not nan",
        ),
        ("data.augmentation.scale_range=[0.5, .inf]", "data.augmentation.scale_range.1 should be a finite number"),
        ("data.augmentation.photometric.contrast=[1.5, 0.5]", "write the smaller number first, not [1.5, 0.5]"),
        (
            "data.augmentation.photometric.saturation=[-1, 1]",
            "photometric.saturation.0 should be greater than or equal",
        ),
        ("data.augmentation.photometric.gamma=[0, 1]", "photometric.gamma.0 should be greater than or equal to 0.01"),
        ("data.augmentation.photometric.blur_sigma=1e6", "photometric.blur_sigma should be less than or equal to 100"),
        ("loss.head_weights.logits=1e308", "loss.head_weights.logits should be less than or equal to 1000000"),
        ("loss.head_weights={logits: 0, aux_0_logits: 0}", "every weight is 0, so there is nothing to learn"),
        ("loss.class_weights=[0, 0]", "every weight is 0, so there is nothing to learn"),
        ("optimizer={kind: adamw, lr: 1, weight_decay: 0, betas: [0.9, 1]}", "optimizer.betas.1 should be less than 1"),
        ("optimizer.weight_decay=1e300", "optimizer.weight_decay should be less than or equal to 10, not 1e+300"),
        ("data.repeat=1000000", "data.repeat should be less than or equal to 1000, not 1000000"),
        ('data.root="a\\0b"', "data.root: 'a\\x00b' contains a null character, which no path has"),
        ("data.root=" + "a" * 300, "is too long for a path: 4095 bytes are allowed, and 255 for each name in it"),
        ("data.name=2024-02-30", "is not valid YAML at line 1: '2024-02-30' is not a date"),
        ("model.options={1: 2}", "model.options: the key 1 is not text; put it in quotes"),
        ("a." * 30 + "b=1", "no key of a recipe is as long"),
        ("data.extra_datasets." + "9" * 5000 + ".root=x", "no key of a recipe is as long"),
        ("seed", "override 'seed' is not KEY=VALUE; write for example optimizer.lr=0.05"),
        ("optimizer.lr=[1", "override 'optimizer.lr=[1' is not valid YAML"),
        ("iterations.max=1", "override iterations.max: iterations is not a section but 8, so it has no key 'max'"),
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
    recipe = tiny("data.extra_datasets=[{name: camvid, root: x, split: train}]", "loss.class_weights=balanced")
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
    data = load_recipe("tiny", ["data.root=scenes", "data.name=scenes.yaml"]).data
    assert data.root == tmp_path / "scenes"
    assert data.name == str(tmp_path / "scenes.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed: 1\nseed: 2\n", "duplicate key 'seed'"),
        ("- 1\n", "it contains a list, not keys with values; docs/training.md lists the keys of a recipe"),
        ("seed: [1\n", "is not valid YAML"),
        ("{}\n", "the key 'data' is missing"),
    ],
)
def test_files_that_are_not_recipes(tmp_path, text, message):
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as error:
        load_recipe(path)
    assert str(path) in str(error.value)
    assert message in str(error.value)


def test_a_file_that_is_not_there():
    with pytest.raises(ConfigError, match=r"cannot read the recipe missing.yaml: no such file"):
        load_recipe("missing.yaml")


def test_recipes_are_found_by_name_or_path(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("seed: 1\n")
    assert find_recipe(path) == path
    assert find_recipe("cityscapes/fast-scnn").parts[-2:] == ("cityscapes", "fast-scnn.yaml")
    for unknown, nearest in (
        ("tyni", "'tiny'"),
        ("fast-scnn-tiny", "'tiny'"),  # nearest to the name that it had before
        ("fast-scnn", "'camvid/fast-scnn' or 'cityscapes/fast-scnn'"),
    ):
        with pytest.raises(
            ConfigError, match=rf"unknown recipe '{unknown}' \(did you mean {nearest}\?\); pass a recipe"
        ):
            find_recipe(unknown)


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


OLD_KEYS = """
data:
  {kind: camvid, root: ., train: train, val: val, workers: 0, extra: [{kind: synth-as-camvid, root: ., split: train}],
   augmentation: {crop_size: [64, 96], scale_range: [0.5, 1.0], paste: 0.5, paste_classes: [Pole]}}
model: {name: fast-scnn, norm_momentum: 0.01, working_short_side: 64}
optimizer: {kind: sgd, lr: 0.05, weight_decay: 4e-5}
schedule: {kind: poly, power: 0.9, eta_min: 1e-4}
loss: {kind: softmax, average: all_pixels, head_weights: {logits: 1.0}}
iterations: 8
batch_size: 4
precision: float32
ema_decay: null
evaluate_every: 4
seed: 0
"""


def test_files_with_earlier_names_of_keys_read_as_before(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text(OLD_KEYS)
    recipe = load_recipe(path)
    assert (recipe.data.name, recipe.data.extra_datasets[0].name) == ("camvid", "synth-as-camvid")
    augmentation = recipe.data.augmentation
    assert (augmentation.copy_paste, augmentation.copy_paste_classes) == (0.5, ("Pole",))
    assert (recipe.model.bn_momentum, recipe.model.input_short_side) == (0.01, 64)
    assert recipe.loss.reduction == "all_pixels"
    assert "kind: camvid" not in dump_recipe(recipe)


def test_overrides_with_earlier_names_of_keys_apply():
    recipe = tiny(
        "data.kind=camvid",
        "data.extra=[{kind: camvid, root: x, split: train}]",
        "data.extra.0.kind=synth-as-camvid",
        "data.augmentation.paste=0.25",
        "data.augmentation.paste_classes=[Pole]",
        "loss={kind: softmax, average: all_pixels, head_weights: {logits: 1}}",
        "model.norm_momentum=0.2",
    )
    assert (recipe.data.name, recipe.data.extra_datasets[0].name) == ("camvid", "synth-as-camvid")
    assert (recipe.data.augmentation.copy_paste, recipe.data.augmentation.copy_paste_classes) == (0.25, ("Pole",))
    assert (recipe.loss.reduction, recipe.model.bn_momentum) == ("all_pixels", 0.2)


def test_a_key_under_both_of_its_names_is_refused(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text("extends: tiny\nloss: {average: labeled, reduction: labeled}\n")
    with pytest.raises(ConfigError, match=r"loss.average is the old name of loss.reduction, .* remove loss.average"):
        load_recipe(path)


def test_earlier_names_of_recipes_are_found():
    for old, new in (
        ("fast-scnn_tiny", "tiny"),
        ("fast-scnn_camvid", "camvid/fast-scnn"),
        ("encnet-r50-jpu_cityscapes-4x4", "cityscapes/encnet-r50-jpu-4x4"),
    ):
        assert find_recipe(old) == find_recipe(new)
        assert summarize_recipe(old).name == new
    assert set(RENAMES) & set(recipe_names()) == set()
    keys = dotted_keys(Recipe)
    assert [new for new in RENAMES.values() if new not in (*recipe_names(), *keys)] == []


def test_overrides_are_texts_or_a_mapping():
    expected = tiny("optimizer.lr=0.01", "data.augmentation.crop_size=[32, 48]")
    changes = {"optimizer.lr": 0.01, "data.augmentation.crop_size": (32, 48)}
    assert load_recipe("tiny", {"data.root": Path(), **changes}) == expected
    with pytest.raises(ConfigError, match=r"with optimizer.lrr overridden: unknown key 'optimizer.lrr'"):
        load_recipe("tiny", {"optimizer.lrr": 1})


def test_fewer_iterations_shorten_what_does_not_fit():
    def intervals(iterations, **overrides):
        changes = {"data.root": ".", "data.extra_datasets": [], **overrides}
        recipe = load_recipe("camvid/fast-scnn", changes, iterations=iterations)
        assert recipe.iterations == iterations
        return recipe.evaluate_every, recipe.save_every, recipe.schedule.warmup_iterations

    assert intervals(13_000) == intervals(20_000) == intervals(2000) == (1500, 250, 200)
    assert intervals(1300) == (325, 250, 20)  # the warm-up keeps its share of 200 / 13,000
    assert intervals(100) == (25, 25, 1)
    assert intervals(1) == (1, 1, 0)
    assert intervals(1300, evaluate_every=1400, **{"schedule.warmup_iterations": 900}) == (1400, 250, 900)
    with pytest.raises(ConfigError, match="iterations should be greater than or equal to 1, not 0"):
        load_recipe("tiny", {"data.root": "."}, iterations=0)


DESCRIPTION = """
classes: [road, car]
splits:
  train: {images: images, masks: masks}
"""


def test_a_data_description_gets_the_recipe_for_own_data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "streets.yaml"
    path.write_text(f"{DESCRIPTION}  val: {{images: images, masks: masks}}\n")
    recipe = load_recipe("streets.yaml", {"batch_size": 2}, iterations=1000)
    assert (recipe.data.name, recipe.data.root) == (str(path), None)
    assert (recipe.data.train, recipe.data.val, recipe.data.extra_datasets) == ("train", "val", ())
    assert (recipe.loss.class_weights, recipe.data.augmentation.copy_paste) == ("balanced", 0)
    assert (recipe.batch_size, recipe.evaluate_every) == (2, 500)
    assert recipe.model.input_short_side is None
    assert load_recipe("own-data", {"data.name": path, "batch_size": 2}, iterations=1000) == recipe


def test_a_data_description_without_val_trains_without_validation(tmp_path):
    path = tmp_path / "streets.yaml"
    path.write_text(DESCRIPTION)
    assert is_data_description(path)
    assert not is_data_description("tiny")
    assert load_recipe(path).data.val is None
    assert load_recipe(path, {"data.val": "train"}).data.val == "train"


def test_a_data_set_that_a_yaml_file_describes_needs_no_root():
    assert load_recipe("tiny", ["data.name=my.yaml"]).data.root is None
    extra = {"data.name": "my.yaml", "data.extra_datasets": [{"name": "more.yaml", "split": "train"}]}
    assert load_recipe("tiny", extra).data.extra_datasets[0].root is None
    with pytest.raises(ConfigError, match=r"the key 'data\.root' is missing"):
        load_recipe("tiny")


def test_only_what_was_overridden_is_named():
    with pytest.raises(ConfigError, match=r"tiny\.yaml with optimizer\.lr overridden: "):
        load_recipe("tiny", ["optimizer.lr=x"])
    with pytest.raises(ConfigError, match=r"tiny\.yaml with 7 iterations: the key"):
        load_recipe("tiny", iterations=7)
    many = ["data.root=/data", "data.workers=0", "optimizer.lr=x", "save_every=5", "seed=1"]
    with pytest.raises(ConfigError, match=r"tiny\.yaml with optimizer\.lr overridden: "):
        load_recipe("tiny", many)
    with pytest.raises(
        ConfigError, match=r"yaml with optimizer\.lr overridden, schedule\.eta_min overridden: schedule\.eta_min 9"
    ):
        load_recipe("tiny", [*many, "optimizer.lr=0.1", "schedule.eta_min=9"])
    with pytest.raises(ConfigError, match=r"tiny\.yaml with 4 overrides: the key 'data\.root' is missing"):
        load_recipe("tiny", ["data.workers=0", "optimizer.lr=0.1", "save_every=5", "seed=1"])


def test_overrides_from_python_are_plain_values_or_refused():
    import numpy as np

    recipe = load_recipe("tiny", {"data.root": Path("x"), "seed": np.int64(3), "optimizer.lr": np.float32(0.5)})
    assert (recipe.seed, recipe.optimizer.lr, recipe.data.root) == (3, 0.5, Path("x").absolute())
    assert load_recipe("tiny", {"data.root": "x", "seed": (1 << 63) - 1}).seed == (1 << 63) - 1
    for values, message in (
        ({3: 1}, "override 3 is not a key"),
        ({"seed": object()}, "seed should be text, a number, a list or a mapping, not <object"),
        ({"seed": 10**5000}, "seed has more than 64 bits"),
        ({"data.root": "\udcff"}, r"data.root: '\udcff' is not Unicode text"),
        ({"model.options": {1: 2}}, "model.options: the key 1 is not text"),
    ):
        with pytest.raises(ConfigError) as caught:
            load_recipe("tiny", {"data.root": "x", **values})
        assert message in str(caught.value)

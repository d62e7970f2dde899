"""`extends`: which values a recipe inherits, and that the recipes in the package have the values they always had."""

from __future__ import annotations

import pytest

from rapidseg.core.errors import ConfigError
from rapidseg.recipes import find_recipe, recipe_names, recipe_text, summarize_recipe
from rapidseg.recipes.recipe_file import dump_recipe, flatten, load_recipe

# Every value of one recipe, recorded before recipes could extend each other.
PSPNET = {
    "data.name": "cityscapes",
    "data.root": "/data",
    "data.train": "train",
    "data.repeat": 1,
    "data.val": "val",
    "data.extra_datasets": [],
    "data.augmentation.crop_size": [512, 1024],
    "data.augmentation.scale_range": [0.5, 2.0],
    "data.augmentation.log_scale": False,
    "data.augmentation.aspect_jitter": 0.0,
    "data.augmentation.cat_max_ratio": 0.75,
    "data.augmentation.flip": 0.5,
    "data.augmentation.photometric.brightness": 32.0,
    "data.augmentation.photometric.contrast": [0.5, 1.5],
    "data.augmentation.photometric.saturation": [0.5, 1.5],
    "data.augmentation.photometric.hue": 18,
    "data.augmentation.photometric.gamma": None,
    "data.augmentation.photometric.channel_gain": 0.0,
    "data.augmentation.photometric.blur_sigma": 0.0,
    "data.augmentation.photometric.noise_sigma": 0.0,
    "data.augmentation.copy_paste": 0.0,
    "data.augmentation.copy_paste_classes": [],
    "data.augmentation.label_stride": 1,
    "data.workers": 8,
    "data.cache": False,
    "model.name": "pspnet",
    "model.variant": "openmmlab",
    "model.options.backbone": "resnet50",
    "model.options.output_stride": 8,
    "model.weights": None,
    "model.backbone_weights": "https://download.openmmlab.com/pretrain/third_party/resnet50_v1c-2cccc1ad.pth",
    "model.bn_momentum": None,
    "model.input_short_side": None,
    "optimizer.lr": 0.01,
    "optimizer.weight_decay": 0.0005,
    "optimizer.decay_norm_and_bias": True,
    "optimizer.kind": "sgd",
    "optimizer.momentum": 0.9,
    "optimizer.nesterov": False,
    "schedule.eta_min": 0.0001,
    "schedule.warmup_iterations": 0,
    "schedule.warmup_start": 0.001,
    "schedule.kind": "poly",
    "schedule.power": 0.9,
    "loss.kind": "softmax",
    "loss.head_weights.logits": 1.0,
    "loss.head_weights.aux_0_logits": 0.4,
    "loss.reduction": "all_pixels",
    "loss.class_weights": None,
    "loss.label_smoothing": 0.0,
    "loss.ohem": None,
    "iterations": 80000,
    "batch_size": 8,
    "accumulate": 1,
    "precision": "float32",
    "ema_decay": None,
    "clip_gradient_norm": None,
    "evaluate_every": 8000,
    "save_every": 1000,
    "log_every": 50,
    "seed": 0,
}
ABSENT = "absent"
SE = {"loss.head_weights.se_logits": 0.2}


def jpu(head, **others):
    network = {"model.name": "fastfcn", "model.options.neck": "jpu", "model.options.head": head}
    return {**network, "model.options.output_stride": ABSENT, **others}


# Recipes that have extended others since they were written.
NEWER = ("cityscapes/fast-scnn-coarse", "own-data")

# Every value in which the others differ from it.
DIFFERENCES = {
    "cityscapes/pspnet-r50-d8": {},
    "cityscapes/deeplabv3-r50-d8": {"model.name": "deeplabv3"},
    "cityscapes/encnet-r50-d8": {"model.name": "encnet", **SE},
    "cityscapes/pspnet-r50-jpu-4x2": jpu("psp"),
    "cityscapes/deeplabv3-r50-jpu-4x2": jpu("aspp"),
    "cityscapes/encnet-r50-jpu-4x2": jpu("enc", **SE),
    "cityscapes/pspnet-r50-jpu-4x4": jpu("psp", batch_size=16),
    "cityscapes/deeplabv3-r50-jpu-4x4": jpu("aspp", batch_size=16),
    "cityscapes/encnet-r50-jpu-4x4": jpu("enc", batch_size=16, **SE),
    "cityscapes/fast-scnn": {
        "data.workers": 16,
        "model.name": "fast-scnn",
        "model.options": {},
        "model.options.backbone": ABSENT,
        "model.options.output_stride": ABSENT,
        "model.backbone_weights": None,
        "model.bn_momentum": 0.01,
        "optimizer.lr": 0.12,
        "optimizer.weight_decay": 4e-5,
        "loss.kind": "sigmoid",
        "loss.head_weights.aux_1_logits": 0.4,
        "iterations": 160000,
        "batch_size": 32,
        "evaluate_every": 4000,
    },
}


@pytest.mark.parametrize("name", DIFFERENCES)
def test_recipes_that_extend_others_have_the_values_they_had_when_they_were_whole(name):
    expected = {key: value for key, value in {**PSPNET, **DIFFERENCES[name]}.items() if value != ABSENT}
    assert flatten(load_recipe(name, {"data.root": "/data"})) == expected


def test_recipes_state_only_what_differs():
    extending = [name for name in recipe_names() if "\nextends: " in find_recipe(name).read_text()]
    assert extending == sorted([*DIFFERENCES.keys() - {"cityscapes/fast-scnn"}, *NEWER])
    assert find_recipe("cityscapes/pspnet-r50-jpu-4x4").read_text().partition("\n\n")[2] == (
        "extends: cityscapes/pspnet-r50-jpu-4x2\n\nbatch_size: 16\n"
    )


def test_summaries_and_texts_have_inherited_values(tmp_path):
    summary = summarize_recipe("cityscapes/encnet-r50-jpu-4x4")
    assert (summary.architecture, summary.dataset) == ("fastfcn", "cityscapes")
    assert (summary.iterations, summary.batch_size) == (80000, 16)
    text = recipe_text("cityscapes/encnet-r50-jpu-4x4")
    assert text.startswith(find_recipe("cityscapes/encnet-r50-jpu-4x4").read_text().partition("\n\n")[0])
    assert "extends" not in text.replace("extends no other", "")
    path = tmp_path / "shown.yaml"
    path.write_text(text)
    overrides = {"data.root": "/data"}
    assert load_recipe(path, overrides) == load_recipe("cityscapes/encnet-r50-jpu-4x4", overrides)
    assert recipe_text("tiny") == find_recipe("tiny").read_text()


@pytest.fixture
def write(tmp_path):
    def write(name, text):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def test_mappings_merge_and_everything_else_replaces(write):
    write("base.yaml", "extends: tiny\ndata: {root: /base, augmentation: {scale_range: [1.0, 1.5]}}\nseed: 7\n")
    path = write("mine.yaml", "extends: base.yaml\ndata: {augmentation: {crop_size: [32, 32]}}\nloss: {ohem: null}\n")
    recipe, tiny = load_recipe(path), load_recipe("tiny", {"data.root": "/base"})
    changed = {key: value for key, value in flatten(recipe).items() if flatten(tiny)[key] != value}
    assert changed == {
        "data.augmentation.crop_size": [32, 32],
        "data.augmentation.scale_range": [1.0, 1.5],
        "seed": 7,
    }


def test_a_section_of_another_kind_is_replaced_whole(write):
    text = """extends: tiny
data: {root: /data}
optimizer: {kind: adamw, lr: 1e-3, weight_decay: 0.01}
schedule: {kind: poly, eta_min: 1e-5}
model: {name: pspnet, options: {width: 0.125}}
"""
    recipe = load_recipe(write("mine.yaml", text))
    assert recipe.optimizer.kind == "adamw"  # momentum of SGD would be an unknown key
    assert (recipe.schedule.power, recipe.schedule.warmup_iterations) == (0.9, 2)  # the same kind merges
    assert (recipe.model.options, recipe.model.input_short_side) == ({"width": 0.125}, None)


def test_overrides_apply_after_the_base(write):
    path = write("mine.yaml", "extends: tiny\nseed: 3\n")
    recipe = load_recipe(path, {"data.root": ".", "seed": 4, "optimizer.momentum": 0.5})
    assert (recipe.seed, recipe.optimizer.momentum, recipe.optimizer.lr) == (4, 0.5, 0.05)


def test_what_a_run_writes_is_the_complete_recipe(write):
    recipe = load_recipe("cityscapes/encnet-r50-jpu-4x4", {"data.root": "/data"})
    text = dump_recipe(recipe)
    assert "extends" not in text
    assert load_recipe(write("recipe.yaml", text)) == recipe


def test_old_names_of_a_base_and_of_keys_are_known_in_every_file(write):
    write("base.yaml", "extends: fast-scnn_tiny\nloss: {average: all_pixels}\n")
    recipe = load_recipe(write("mine.yaml", "extends: base.yaml\ndata: {kind: camvid, root: .}\n"))
    assert (recipe.loss.reduction, recipe.data.name) == ("all_pixels", "camvid")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("extends: tyni\n", "mine.yaml: extends: unknown recipe 'tyni' (did you mean 'tiny'?)"),
        ("extends: other.yaml\n", "other.yaml, which it extends: no such file; correct `extends`"),
        ("extends: [tiny]\n", "extends should be the name of a recipe or a file, not ['tiny']"),
        ("extends: mine.yaml\n", "recipes extend each other in a circle: "),
        ("extends: list.yaml\n", "list.yaml is not a recipe: it contains a list"),
        ("extends: tiny\ndata: {root: .}\nsed: 1\n", "unknown key 'sed' (did you mean 'seed'?)"),
    ],
)
def test_a_base_that_cannot_be_used_is_one_message(write, text, message):
    write("list.yaml", "- 1\n")
    path = write("mine.yaml", text)
    with pytest.raises(ConfigError) as error:
        load_recipe(path)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_circle_names_its_files(write):
    path = write("a.yaml", "extends: b.yaml\n")
    write("b.yaml", "extends: c.yaml\n")
    write("c.yaml", "extends: b.yaml\n")
    with pytest.raises(ConfigError, match=r"in a circle: \S+b.yaml -> \S+c.yaml -> \S+b.yaml; remove one `extends`"):
        load_recipe(path)

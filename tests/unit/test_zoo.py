"""The zoo: its rows say what their sources say, agree with the recipes, and no figure of ours lacks its origin."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from rapidseg import zoo
from rapidseg.core.errors import ConfigError, ModelFileError
from rapidseg.models import ARCHITECTURES, create_model
from rapidseg.recipes import find_recipe, recipe_names, summarize_recipe
from rapidseg.recipes.recipe_file import flatten
from rapidseg.runtime.model_file import BUILT_IN_MODELS, find_model, read_spec
from rapidseg.training import load_recipe
from rapidseg.zoo.entries import BuiltInModel, Figures, MeasuredScore, PublishedModel, WeightsFile
from rapidseg.zoo.entry_files import read_entry

ROWS = tuple(zoo.published_models().values())
NAMES = tuple(zoo.published_models())

# GB, frames/s, mIoU, mIoU ms+flip, GPUs x images each, thousands of iterations, digits of the weights' SHA-256.
PUBLISHED = {
    "fast-scnn-cityscapes": (3.3, 56.45, 70.96, 72.65, (8, 4), 160, "0cec9937"),
    "deeplabv3-r50-d8-cityscapes": (6.1, 2.57, 79.32, 80.57, (4, 2), 80, "b92cfdd4"),
    "deeplabv3-r50-jpu-cityscapes-4x2": (None, None, None, None, (4, 2), 80, "5d1a2648"),
    "deeplabv3-r50-jpu-cityscapes-4x4": (9.79, 2.64, 79.52, 80.91, (4, 4), 80, "72220849"),
    "pspnet-r50-d8-cityscapes": (6.1, 4.07, 78.55, 79.79, (4, 2), 80, "2376f12b"),
    "pspnet-r50-jpu-cityscapes-4x2": (5.67, 4.40, 79.26, 80.86, (4, 2), 80, "57749bed"),
    "pspnet-r50-jpu-cityscapes-4x4": (9.94, None, 78.76, 80.03, (4, 4), 80, "77e87b0a"),
    "encnet-r50-d8-cityscapes": (8.6, 4.58, 77.94, 79.13, (4, 2), 80, "fc5c5624"),
    "encnet-r50-jpu-cityscapes-4x2": (8.15, 4.77, 77.97, 79.92, (4, 2), 80, "78da5046"),
    "encnet-r50-jpu-cityscapes-4x4": (15.45, None, 78.6, 80.25, (4, 4), 80, "e1eb6dbb"),
}


def recipe_of(row):
    return load_recipe(find_recipe(row.recipe), ["data.root=."])


def test_the_rows_are_the_published_ones():
    rows = {}
    for row in ROWS:
        figures, training = row.published, row.training
        assert training.crop_size == (512, 1024)
        rows[row.name] = (
            figures.memory_gb,
            figures.frames_per_second,
            figures.mean_iou_percent,
            figures.mean_iou_ms_flip_percent,
            (training.num_gpus, training.images_per_gpu),
            training.iterations / 1000,
            row.sha256_prefix,
        )
    assert rows == PUBLISHED


def test_the_files_of_the_first_publication_are_named_as_well():
    earlier = {weights.file_name for row in ROWS for weights in row.weights[1:]}
    assert earlier == {
        "fastfcn_jpu_deeplabv3_512x1024_80k_cityscapes_20210924_214357-c2b06737.pth",
        "fastfcn_jpu_psp_512x1024_80k_cityscapes_20210925_061841-b07c5e32.pth",
        "fastfcn_jpu_enc_512x1024_80k_cityscapes_20210926_093217-c2e5d0fd.pth",
    }


@pytest.mark.parametrize("row", ROWS, ids=NAMES)
def test_a_row_agrees_with_its_recipe(row):
    recipe = recipe_of(row)
    assert row.recipe == f"cityscapes/{row.name.replace('-cityscapes', '')}"
    assert recipe.data.augmentation.crop_size == row.training.crop_size
    assert (recipe.iterations, recipe.batch_size) == (row.training.iterations, row.training.batch_size)
    assert (recipe.micro_batch_size, recipe.data.name) == (recipe.batch_size, row.dataset)
    assert (recipe.model.name, recipe.model.variant, recipe.model.options) == (
        row.architecture,
        row.variant,
        row.options,
    )


@pytest.mark.parametrize("row", ROWS, ids=NAMES)
def test_the_comment_of_a_recipe_states_the_figures_and_the_configuration_of_its_row(row):
    comment = " ".join(
        line[1:].strip() for line in find_recipe(row.recipe).read_text().partition("\n\n")[0].splitlines()
    )
    figures = row.published if row.published.mean_iou_percent else row.revised
    assert f"with {figures.mean_iou_percent / 100:.6g} mIoU on val" in comment
    assert row.configuration.partition("/configs/")[2] in comment
    assert f"({figures.memory_gb:g} GB)" in comment


@pytest.mark.parametrize("row", ROWS, ids=NAMES)
def test_the_network_of_a_row_can_be_built(row):
    with torch.device("meta"):  # tensors without values
        model = create_model(row.architecture, 19, variant=row.variant, **row.options)
        outputs = model.forward_all(torch.empty(2, 3, 64, 128))
    assert set(recipe_of(row).loss.head_weights) == set(outputs)


# What a recipe must differ in from its neighbor, and nothing else.
SE = {"loss.head_weights.se_logits"}
NETWORK = {"model.name", "model.options.output_stride", "model.options.neck", "model.options.head"}


@pytest.mark.parametrize(
    ("one", "other", "keys"),
    [
        *[(f"cityscapes/{name}-r50-jpu-4x2", f"cityscapes/{name}-r50-jpu-4x4", {"batch_size"}) for name in
          ("deeplabv3", "pspnet", "encnet")],
        *[(f"cityscapes/{name}-r50-d8", f"cityscapes/{name}-r50-jpu-4x2", NETWORK) for name in
          ("deeplabv3", "pspnet", "encnet")],
        ("cityscapes/deeplabv3-r50-d8", "cityscapes/pspnet-r50-d8", {"model.name"}),
        ("cityscapes/pspnet-r50-d8", "cityscapes/encnet-r50-d8", {"model.name"} | SE),
        ("cityscapes/deeplabv3-r50-jpu-4x2", "cityscapes/pspnet-r50-jpu-4x2", {"model.options.head"}),
        ("cityscapes/pspnet-r50-jpu-4x2", "cityscapes/encnet-r50-jpu-4x2", {"model.options.head"} | SE),
    ],
)  # fmt: skip
def test_recipes_differ_from_their_neighbors_only_where_they_must(one, other, keys):
    flat = [flatten(load_recipe(find_recipe(name), ["data.root=."])) for name in (one, other)]
    assert {key for key in {*flat[0], *flat[1]} if flat[0].get(key) != flat[1].get(key)} == keys


def test_the_recipes_on_resnet_are_trained_as_openmmlab_does():
    recipe = load_recipe(find_recipe("cityscapes/pspnet-r50-d8"), ["data.root=."])
    optimizer, schedule = recipe.optimizer, recipe.schedule
    assert (optimizer.kind, optimizer.lr, optimizer.momentum, optimizer.weight_decay) == ("sgd", 0.01, 0.9, 5e-4)
    assert (schedule.kind, schedule.power, schedule.eta_min, schedule.warmup_iterations) == ("poly", 0.9, 1e-4, 0)
    assert (recipe.loss.kind, recipe.loss.reduction) == ("softmax", "all_pixels")
    assert recipe.loss.head_weights == {"logits": 1.0, "aux_0_logits": 0.4}
    assert recipe.model.backbone_weights.endswith("/resnet50_v1c-2cccc1ad.pth")
    assert recipe.model.bn_momentum is None
    fast_scnn = load_recipe(find_recipe("cityscapes/fast-scnn"), ["data.root=."])
    assert recipe.data.augmentation == fast_scnn.data.augmentation


def test_the_architectures_are_those_of_the_registry():
    listed = {entry.name: (entry.paper, entry.variants) for entry in zoo.architectures().values()}
    assert listed == {entry.name: (entry.paper, tuple(entry.variants)) for entry in ARCHITECTURES.values()}


def test_names_differ_across_all_that_can_be_shown():
    names = [*zoo.architectures(), *zoo.published_models(), *zoo.built_in_models(), *recipe_names()]
    assert len(set(names)) == len(names)


def test_every_score_of_a_built_in_model_has_its_command_and_machine():
    assert tuple(zoo.built_in_models()) == BUILT_IN_MODELS
    for name, entry in zoo.built_in_models().items():
        spec = read_spec(find_model(name))
        measured = entry.measurements(spec)
        assert [measurement.value for measurement in measured] == [score.mean_iou for score in spec.scores]
        assert len(entry.scores) == len(spec.scores)
        assert entry.recipe in recipe_names()


def test_a_name_is_found_and_a_near_one_hinted_at():
    row = zoo.find("pspnet-r50-d8-cityscapes")
    assert row.url.startswith("https://download.openmmlab.com/mmsegmentation/v0.5/pspnet/pspnet_r50-d8_512x1024_80k_")
    assert row.sha256_prefix == "2376f12b"
    with pytest.raises(ConfigError) as error:
        zoo.find("psp-r50-d8-cityscapes")
    assert "'psp-r50-d8-cityscapes' (did you mean 'pspnet-r50-d8-cityscapes'?); `rapidseg models`" in str(error.value)


def test_loading_a_published_model_says_how_to_get_it():
    with pytest.raises(ModelFileError) as error:
        find_model("fast-scnn-cityscapes")
    assert str(error.value).endswith(
        "is a published model, whose weights are not part of the package; rapidseg.load downloads them"
    )


MEASURED = {
    "quantity": "mean_iou",
    "value": 0.7,
    "command": "rapidseg eval model.onnx --data cityscapes --root DIR",
    "data": "Cityscapes val, whole image",
    "machine": "two cores",
}


@pytest.mark.parametrize("missing", ["command", "data", "machine"])
def test_a_figure_of_ours_needs_command_data_and_machine(missing):
    MeasuredScore(**MEASURED)
    with pytest.raises(ValidationError, match=rf"{missing}\n.*[Ff]ield required"):
        MeasuredScore(**{key: value for key, value in MEASURED.items() if key != missing})
    with pytest.raises(ValidationError, match=missing):
        MeasuredScore(**{**MEASURED, missing: ""})


def test_a_fraction_is_not_a_percentage():
    with pytest.raises(ValidationError, match=r"mean_iou is a fraction from 0 to 1, not 70\.0"):
        MeasuredScore(**{**MEASURED, "value": 70.0})


def test_a_score_without_its_origin_gives_no_figure():
    spec = read_spec(find_model(None))
    entry = BuiltInModel(name="x", recipe="camvid/fast-scnn", remark="an example", page="docs/x.md", scores=())
    assert entry.measurements(spec) == ()


def test_weights_need_an_address_that_ends_in_digits_of_their_hash():
    assert WeightsFile(url="https://host/a/name_20210630-0cec9937.pth").sha256_prefix == "0cec9937"
    for url in ("https://host/name.pth", "http://host/name-0cec9937.pth", "https://host/name-0cec993.pth"):
        with pytest.raises(ValidationError):
            WeightsFile(url=url)


def test_nothing_in_an_entry_can_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        ROWS[0].published.mean_iou_percent = 99.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda text: text.replace("memory_gb: 6.1\n", "memory_gb: six\n"),
            "published.memory_gb should be a number, not 'six'",
        ),
        (lambda text: text.replace("  memory_gb: 6.1\n", ""), "the key 'published.memory_gb' is missing"),
        (lambda text: text + "license: none\n", "unknown key 'license'"),
        (lambda text: text + "name: twice\n", "duplicate key 'name'"),
        (lambda text: text.replace("-2376f12b.pth", ".pth"), "weights.0.url: string should match pattern"),
        (
            lambda text: text + "measured: [{quantity: mean_iou, value: 0.5}]\n",
            "the key 'measured.0.command' is missing",
        ),
    ],
)
def test_a_wrong_file_is_refused_with_its_name_and_key(tmp_path, change, message):
    source = find_data_file("pspnet-r50-d8-cityscapes")
    path = tmp_path / source.name
    path.write_text(change(source.read_text()))
    with pytest.raises(ConfigError) as error:
        read_entry(path, PublishedModel)
    assert str(path) in str(error.value)
    assert message in str(error.value)


def test_a_file_is_called_after_its_name(tmp_path):
    path = tmp_path / "other.yaml"
    path.write_text(find_data_file("pspnet-r50-d8-cityscapes").read_text())
    with pytest.raises(
        ConfigError, match="the file is named 'other', but the name in it is 'pspnet-r50-d8-cityscapes'"
    ):
        read_entry(path, PublishedModel)


def test_figures_that_were_not_published_are_said_to_be_so():
    with pytest.raises(ValidationError, match="mean_iou_percent"):  # null is a statement, a missing key an oversight
        Figures(source="https://host/page", memory_gb=None, frames_per_second=None, mean_iou_ms_flip_percent=None)


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_is_summed_up_by_the_first_sentence_of_its_comment(name):
    summary = summarize_recipe(name)
    assert re.fullmatch(r"[A-Z][^\n]{20,110}[a-z]", summary.title)
    assert summary.architecture in zoo.architectures()


def find_data_file(name):
    return next(Path(zoo.__file__).parent.rglob(f"{name}.yaml"))

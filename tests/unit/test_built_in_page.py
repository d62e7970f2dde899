"""The page about the built-in model, its recipe and its file say the same."""

from __future__ import annotations

import re

import pytest

from rapidseg import zoo
from rapidseg.core.labels import CAMVID
from rapidseg.core.sizes import format_size
from rapidseg.models import create_model
from rapidseg.recipes import current_name
from rapidseg.recipes.recipe_file import load_recipe
from rapidseg.runtime.model_file import find_model, read_spec
from tests.support.documents import ROOT, blocks, commands

NAME = "fast-scnn-camvid"
PATH = ROOT / "docs" / "models" / f"{NAME}.md"
PAGE = PATH.read_text(encoding="utf-8")
TEXT = " ".join(PAGE.split())  # lines joined: sentences may be wrapped anywhere


@pytest.fixture(scope="module")
def command():
    """The page's `rapidseg train`: the recipe's name and the overrides."""
    shell = [words for block in blocks(PATH) if block.language == "sh" for words in commands(block)]
    (arguments,) = [words[2:] for words in shell if words[:2] == ["rapidseg", "train"]]
    return arguments[: arguments.index("--output")]


@pytest.fixture(scope="module")
def recipe(command):
    """What that command trains."""
    name, *overrides = command
    return load_recipe(name, overrides)


def number(pattern):
    (digits,) = re.findall(pattern, TEXT)
    return int(digits.replace(",", ""))


def test_the_page_states_the_numbers_of_the_recipe(recipe):
    assert number(r"([\d,]+) iterations of AdamW") == recipe.iterations
    assert number(r"\| `train`, `val` and drawn scenes \| ([\d,]+) \|") == recipe.iterations
    assert number(r"of AdamW with batch size (\d+) and crops of \d+x\d+") == recipe.batch_size
    (crop_size,) = re.findall(r"of AdamW with batch size \d+ and crops of (\d+x\d+)", TEXT)
    assert crop_size == format_size(recipe.data.augmentation.crop_size)
    assert number(r"each CamVid image repeated (\d+) times") == recipe.data.repeat
    assert "scale {} to {},".format(*recipe.data.augmentation.scale_range) in TEXT
    assert recipe.optimizer.kind == "adamw"
    assert number(r"shorter side (\d+) pixels") == recipe.model.input_short_side


def test_the_file_says_that_this_command_made_it(command, recipe):
    spec = read_spec(find_model(NAME))
    (name,) = re.findall(r"with the recipe (\S+) of RapidSeg", spec.source)
    assert current_name(name) == command[0] == zoo.built_in_models()[NAME].recipe
    sets = [(recipe.data.name, recipe.data.train), *((extra.name, extra.split) for extra in recipe.data.extra_datasets)]
    names, splits = zip(*sets, strict=True)
    assert spec.dataset == f"{'+'.join(names)} {'+'.join(splits)}"
    assert (spec.architecture, spec.labels) == (recipe.model.name, CAMVID)
    model = create_model(recipe.model.name, labels=CAMVID, variant=recipe.model.variant, **recipe.model.options)
    assert spec.options == model.spec.options
    assert spec.input_short_side == recipe.model.input_short_side


def test_the_page_has_the_scores_of_the_file():
    (score,) = read_spec(find_model(NAME)).scores
    (row,) = re.findall(r"\| CamVid `test` \| (.*) \|", PAGE)
    values = [float(value) for value in re.findall(r"0\.\d+", row)]
    assert values == [round(value, 3) for value in (score.mean_iou, score.mean_accuracy, score.pixel_accuracy)]

"""The page about the built-in model, its recipe and its file say the same."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from rapidseg import zoo
from rapidseg.core.labels import CAMVID
from rapidseg.models import create_model
from rapidseg.recipes import current_name
from rapidseg.recipes.loading import load_recipe
from rapidseg.runtime.model_file import find_model, read_spec

NAME = "fast-scnn-camvid"
PAGE = (Path(__file__).resolve().parents[2] / "docs" / "models" / f"{NAME}.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def command():
    """The words of the page's `rapidseg train`."""
    (line,) = re.findall(r"^    rapidseg train (.*?[^\\])$", PAGE, re.MULTILINE | re.DOTALL)
    return shlex.split(line.replace("\\\n", " "))


@pytest.fixture(scope="module")
def recipe(command):
    """What that command trains."""
    name, *words = command
    return load_recipe(name, [word for word in words if "=" in word])


def number(pattern):
    (found,) = re.findall(pattern, PAGE)
    return int(found.replace(",", ""))


def test_the_page_states_the_numbers_of_the_recipe(recipe):
    assert number(r"([\d,]+) iterations of AdamW") == recipe.iterations
    assert number(r"\| `train`, `val` and drawn scenes \| ([\d,]+) \|") == recipe.iterations
    assert number(r"with\s+(\d+) crops of") == recipe.batch_size
    height, width = recipe.data.augmentation.crop_size
    assert re.search(rf"crops of {height}x{width} per step", PAGE)
    assert number(r"each CamVid image repeated (\d+) times") == recipe.data.repeat
    assert re.search(r"scale {} to\s+{}".format(*recipe.data.augmentation.scale_range), PAGE)
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

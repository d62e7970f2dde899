"""Every recipe for Cityscapes starts: `rapidseg train RECIPE --dry-run` on small scenes, with a narrow network."""

from __future__ import annotations

import json

import pytest

from rapidseg import zoo
from tests.support.block_scenes import write_block_scenes

RECIPES = {model.recipe: model for model in zoo.published_models().values()}
SMALL = (
    "data.root=scenes",
    "data.workers=0",
    "data.augmentation.crop_size=[64, 96]",
    "data.augmentation.scale_range=[0.75, 1.0]",
    "model.options.width=0.125",
)


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_starts(rapidseg, tmp_path, name):
    write_block_scenes(tmp_path / "scenes")
    model = RECIPES[name]
    # The weights of the backbone are on the net, and are those of a network of full width.
    overrides = [*SMALL, "batch_size=2"] + (
        [] if model.architecture == "fast-scnn" else ["model.backbone_weights=null"]
    )
    status, output, error = rapidseg("train", name, *overrides, "--device", "cpu", "--dry-run", "--json")
    assert status == 0, error
    document = json.loads(output)
    assert document["device"] == "cpu"
    assert 1 < document["loss"] < 20

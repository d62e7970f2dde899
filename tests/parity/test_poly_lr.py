"""The learning rate against that of mmengine's PolyLR, iteration by iteration."""

from __future__ import annotations

import json

import pytest
import torch

from rapidseg.recipes import find_recipe
from rapidseg.recipes.schema import Recipe
from rapidseg.training import load_recipe
from rapidseg.training.schedule import learning_rate

TOLERANCE = 1e-6  # relative; mmengine multiplies its rate iteration by iteration, ours is computed from the number


@pytest.fixture(scope="module")
def reference(parity_dir):
    return json.loads((parity_dir / "protocol" / "poly_lr.json").read_text())


def cityscapes_recipe(*overrides: str) -> Recipe:
    return load_recipe(find_recipe("cityscapes/fast-scnn"), ["data.root=.", *overrides])


def test_the_cityscapes_recipe_has_the_published_rates(reference):
    for iteration, rate in reference["fast_scnn_160k"]["lr"].items():
        assert learning_rate(cityscapes_recipe(), int(iteration)) == pytest.approx(rate, rel=TOLERANCE)


@pytest.mark.parametrize("name", ["fast_scnn_160k", "fastfcn_80k"])
def test_rates_of_both_published_schedules(reference, name):
    published = reference[name]
    recipe = cityscapes_recipe(
        f"optimizer.lr={published['base']}",
        f"schedule={{kind: poly, power: {published['power']}, eta_min: {published['eta_min']}}}",
        f"iterations={published['iterations']}",
    )
    for iteration, rate in published["lr"].items():
        assert learning_rate(recipe, int(iteration)) == pytest.approx(rate, rel=TOLERANCE)


def test_the_optimizer_uses_these_rates(reference):
    published = reference["fast_scnn_160k"]["lr"]
    recipe = cityscapes_recipe()
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=recipe.optimizer.lr)
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda iteration: learning_rate(recipe, iteration) / recipe.optimizer.lr
    )
    for iteration in range(101):
        if str(iteration) in published:
            assert optimizer.param_groups[0]["lr"] == pytest.approx(published[str(iteration)], rel=TOLERANCE)
        optimizer.step()
        scheduler.step()

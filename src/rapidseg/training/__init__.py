"""From a recipe to weights.

from rapidseg.training import load_recipe, train

recipe = load_recipe("recipe.yaml", ["data.root=data/camvid", "optimizer.lr=0.05"])
summary = train(recipe, "runs/first")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rapidseg.recipes.loading import load_recipe
from rapidseg.recipes.schema import Recipe
from rapidseg.training.cpu import let_waiting_threads_sleep

if TYPE_CHECKING:
    from rapidseg.training.run import TrainingSummary, train
    from rapidseg.training.stopping import TrainingStopped

__all__ = ["Recipe", "TrainingStopped", "TrainingSummary", "load_recipe", "train"]


def __getattr__(name: str) -> Any:
    # Lightning takes seconds to import, and whoever only reads recipes does not need it.
    if name in ("TrainingSummary", "train"):
        let_waiting_threads_sleep()  # now or never: the next line imports PyTorch
        from rapidseg.training import run

        return getattr(run, name)
    if name == "TrainingStopped":
        from rapidseg.training.stopping import TrainingStopped

        return TrainingStopped
    raise AttributeError(f"module 'rapidseg.training' has no attribute {name!r}")

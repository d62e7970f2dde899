"""From a recipe to weights.

from rapidseg.recipes.recipe_file import load_recipe
from rapidseg.training import train

recipe = load_recipe("camvid/fast-scnn", {"data.root": "data/camvid", "data.extra_datasets": []})
report = train(recipe, "runs/first")

`rapidseg.workflows.train` does both, and is what the command line calls.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rapidseg.recipes.recipe_file import load_recipe
from rapidseg.recipes.schema import Recipe
from rapidseg.system.matplotlib_folder import use_cache_for_matplotlib
from rapidseg.training.cpu_settings import let_waiting_threads_sleep
from rapidseg.training.stopping import TrainingStopped
from rapidseg.training.training_report import TrainingReport

if TYPE_CHECKING:
    from rapidseg.training.training_run import train

__all__ = ["Recipe", "TrainingReport", "TrainingStopped", "load_recipe", "train"]

use_cache_for_matplotlib()  # before any module here imports Lightning


def __getattr__(name: str) -> Any:
    # Lightning takes seconds to import, and code that only reads recipes does not need it.
    if name == "train":
        let_waiting_threads_sleep()  # now or never: the next line imports PyTorch
        from rapidseg.training.training_run import train

        return train
    raise AttributeError(f"module 'rapidseg.training' has no attribute {name!r}")

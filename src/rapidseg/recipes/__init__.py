"""Complete training runs as YAML files: found by name, extended, overridden, validated. Nothing here imports PyTorch.

from rapidseg.recipes.recipe_file import load_recipe

recipe = load_recipe("camvid/fast-scnn", {"data.root": "data/camvid", "data.extra_datasets": []})
"""

from rapidseg.recipes.catalog import find_recipe, recipe_names
from rapidseg.recipes.renames import current_name
from rapidseg.recipes.summaries import (
    PretrainingSummary,
    RecipeSummary,
    recipe_text,
    summarize_pretraining,
    summarize_recipe,
)

__all__ = [
    "PretrainingSummary",
    "RecipeSummary",
    "current_name",
    "find_recipe",
    "recipe_names",
    "recipe_text",
    "summarize_pretraining",
    "summarize_recipe",
]

"""Recipes for people who choose among them: a line in a table, and the whole text. PyTorch is not needed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from rapidseg.core.strict_yaml import dump_yaml
from rapidseg.recipes.catalog import RecipeKind, find_recipe
from rapidseg.recipes.extending import EXTENDS, read_keys, resolve_recipe
from rapidseg.recipes.renames import current_name


@dataclass(frozen=True)
class RecipeSummary:
    """A recipe in one line.

    Attributes:
        name: of the recipe.
        title: the first sentence of the comment at its top.
        architecture: of the network.
        dataset: its name; `your own` where the user names it.
        iterations: optimizer steps.
        batch_size: images per step.
    """

    name: str
    title: str
    architecture: str
    dataset: str
    iterations: int
    batch_size: int


@dataclass(frozen=True)
class PretrainingSummary:
    """A pre-training recipe in one line.

    Attributes:
        name: of the recipe.
        title: the first sentence of the comment at its top.
        method: of pre-training.
        network: whose encoder is trained.
        epochs: passes over the images.
        batch_size: images per step.
    """

    name: str
    title: str
    method: str
    network: str
    epochs: int
    batch_size: int


def summarize_recipe(name: str) -> RecipeSummary:
    """Returns the summary of a recipe that comes with the package, with the values it inherits.

    Raises:
        ConfigError: the name is unknown.
    """
    path = find_recipe(name)
    content = resolve_recipe(path)
    return RecipeSummary(
        name=current_name(name),
        title=_title(path),
        architecture=content["model"]["name"],
        dataset=content["data"]["name"] or "your own",
        iterations=content["iterations"],
        batch_size=content["batch_size"],
    )


def summarize_pretraining(name: str) -> PretrainingSummary:
    """Returns the summary of a pre-training recipe that comes with the package, with the values it inherits.

    Raises:
        ConfigError: the name is unknown.
    """
    path = find_recipe(name, "pretraining")
    content = resolve_recipe(path, "pretraining")
    return PretrainingSummary(
        name=name,
        title=_title(path),
        method=content["method"]["name"],
        network=content["encoder"]["network"],
        epochs=content["epochs"],
        batch_size=content["batch_size"],
    )


def recipe_text(name: str, kind: RecipeKind = "training") -> str:
    """Returns a recipe with every value that it states or inherits, as YAML with the comment at its top.

    The text of a recipe that extends no other is its file, with all comments.

    Raises:
        ConfigError: the name is unknown.
    """
    path = find_recipe(name, kind)
    text = path.read_text(encoding="utf-8")
    if EXTENDS not in read_keys(path):
        return text
    comment = "\n".join(_comment(text))
    return f"{comment}\n\n{dump_yaml(resolve_recipe(path, kind))}"


def _title(path: Path) -> str:
    """Returns the first sentence of the comment at the top of a recipe."""
    comment = " ".join(line.removeprefix("#").strip() for line in _comment(path.read_text(encoding="utf-8")))
    return re.split(r"(?<=[a-z0-9])[.:] ", comment, maxsplit=1)[0].rstrip(".")


def _comment(text: str) -> list[str]:
    """Returns the lines of the comment at the top of a recipe."""
    return text.partition("\n\n")[0].splitlines()

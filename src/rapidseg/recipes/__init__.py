"""Complete training runs as YAML files, each found by its name."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from rapidseg.core.errors import ConfigError, nearest_hint
from rapidseg.core.strict_yaml import parse_yaml

_FOLDER = Path(__file__).parent


def recipe_names() -> tuple[str, ...]:
    """Returns the names of the recipes that come with the package."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.yaml")))


@dataclass(frozen=True)
class RecipeSummary:
    """What a recipe says in a line of a table.

    Attributes:
        name: of the recipe.
        title: the first sentence of the comment that it opens with.
        architecture: of the network.
        dataset: the kind of data set.
        iterations: steps of the optimizer.
        batch_size: images in one step.
    """

    name: str
    title: str
    architecture: str
    dataset: str
    iterations: int
    batch_size: int


def summarize_recipe(name: str) -> RecipeSummary:
    """Returns the summary of a recipe that comes with the package; PyTorch is not needed.

    Raises:
        ConfigError: there is no recipe of that name.
    """
    text = find_recipe(name).read_text(encoding="utf-8")
    comment = " ".join(line.removeprefix("#").strip() for line in text.partition("\n\n")[0].splitlines())
    title = re.split(r"(?<=[a-z])[.:] ", comment, maxsplit=1)[0].rstrip(".")
    content = parse_yaml(text)
    return RecipeSummary(
        name=name,
        title=title,
        architecture=content["model"]["name"],
        dataset=content["data"]["kind"],
        iterations=content["iterations"],
        batch_size=content["batch_size"],
    )


def find_recipe(name_or_path: str | os.PathLike[str]) -> Path:
    """Returns the YAML file of a recipe.

    Args:
        name_or_path: a name such as `fast-scnn_camvid`, or a file.

    Raises:
        ConfigError: it is neither.
    """
    word = os.fspath(name_or_path)
    names = recipe_names()
    if word in names:
        return _FOLDER / f"{word}.yaml"
    path = Path(word).expanduser()
    if path.is_file():
        return path
    raise ConfigError(f"no recipe {word!r}{nearest_hint(word, names)}; give a YAML file, or one of {', '.join(names)}")

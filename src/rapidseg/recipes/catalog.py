"""The recipes that come with the package, and how one is found by its name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from rapidseg.core.arguments import describe_value
from rapidseg.core.errors import ConfigError, did_you_mean, nearest_words
from rapidseg.core.os_errors import is_file
from rapidseg.recipes.renames import RENAMES, current_name

RecipeKind = Literal["training", "pretraining"]
"""Recipes of `rapidseg train`, and of `rapidseg pretrain`; the latter are in a folder of that name."""

_FOLDER = Path(__file__).parent
_FOLDERS: dict[RecipeKind, Path] = {"training": _FOLDER, "pretraining": _FOLDER / "pretraining"}


def recipe_names(kind: RecipeKind = "training") -> tuple[str, ...]:
    """Returns the names of the recipes that come with the package, such as `cityscapes/fast-scnn`."""
    paths = _FOLDERS[kind].rglob("*.yaml")
    if kind == "training":
        paths = (path for path in paths if _FOLDERS["pretraining"] not in path.parents)
    return tuple(sorted(path.relative_to(_FOLDERS[kind]).with_suffix("").as_posix() for path in paths))


def find_recipe(name_or_path: str | os.PathLike[str], kind: RecipeKind = "training") -> Path:
    """Returns the YAML file of a recipe.

    Args:
        name_or_path: a name such as `camvid/fast-scnn`, or a file.
        kind: which command the recipe is for.

    Raises:
        ConfigError: it is neither.
    """
    name, names = os.fspath(name_or_path), recipe_names(kind)
    if current_name(name) in names:
        return _FOLDERS[kind] / f"{current_name(name)}.yaml"
    path = Path(os.path.expanduser(name))
    if is_file(path):
        return path
    if path.suffix.lower() in (".yaml", ".yml"):
        raise ConfigError(f"cannot read the recipe {path}: no such file; check the path")
    others: tuple[RecipeKind, ...] = ("training", "pretraining")
    for other in others:
        if name in recipe_names(other):
            command = "rapidseg train" if other == "training" else "rapidseg pretrain"
            raise ConfigError(f"{name} is a recipe of `{command}`; choose from {', '.join(names)}, or pass a file")
    renamed = RENAMES if kind == "training" else {}
    nearest = [known for known in names if known.endswith(f"/{name}")]
    nearest = nearest or [current_name(known) for known in nearest_words(name, [*names, *renamed])]
    files = "a recipe file, a data description (.yaml)," if kind == "training" else "a recipe file (.yaml)"
    raise ConfigError(
        f"unknown recipe {describe_value(name)}{did_you_mean(*nearest)}; pass {files} or one of {', '.join(names)}"
    )

"""The recipes that come with the package, and how one is found by its name."""

from __future__ import annotations

import os
from pathlib import Path

from rapidseg.core.errors import ConfigError, did_you_mean, nearest_words
from rapidseg.recipes.renames import RENAMES, current_name

_FOLDER = Path(__file__).parent


def recipe_names() -> tuple[str, ...]:
    """Returns the names of the recipes that come with the package, such as `cityscapes/fast-scnn`."""
    return tuple(sorted(path.relative_to(_FOLDER).with_suffix("").as_posix() for path in _FOLDER.rglob("*.yaml")))


def find_recipe(name_or_path: str | os.PathLike[str]) -> Path:
    """Returns the YAML file of a recipe.

    Args:
        name_or_path: a name such as `camvid/fast-scnn`, or a file.

    Raises:
        ConfigError: it is neither.
    """
    name, names = os.fspath(name_or_path), recipe_names()
    if current_name(name) in names:
        return _FOLDER / f"{current_name(name)}.yaml"
    path = Path(name).expanduser()
    if path.is_file():
        return path
    if path.suffix.lower() in (".yaml", ".yml"):
        raise ConfigError(f"cannot read the recipe {path}: no such file; check the path")
    nearest = [known for known in names if known.endswith(f"/{name}")]
    nearest = nearest or [current_name(known) for known in nearest_words(name, [*names, *RENAMES])]
    raise ConfigError(
        f"unknown recipe {name!r}{did_you_mean(*nearest)}; pass a recipe file, a data description (.yaml), or one of "
        f"{', '.join(names)}"
    )

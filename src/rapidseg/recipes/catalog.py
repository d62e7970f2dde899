"""The recipes that come with the package, and how one is found by its name."""

from __future__ import annotations

import os
from difflib import get_close_matches
from pathlib import Path

from rapidseg.core.errors import ConfigError
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
    nearest = nearest or [current_name(known) for known in get_close_matches(name, [*names, *RENAMES], n=1, cutoff=0.5)]
    hint = f"; did you mean {' or '.join(map(repr, nearest))}?" if nearest else ""
    raise ConfigError(
        f"unknown recipe {name!r}{hint}; pass a recipe file, a data description (.yaml), or one of {', '.join(names)}"
    )

"""Complete training runs as YAML files, each found by its name."""

from __future__ import annotations

import os
from pathlib import Path

from rapidseg.core.errors import ConfigError, nearest_hint

_FOLDER = Path(__file__).parent


def recipe_names() -> tuple[str, ...]:
    """Returns the names of the recipes that come with the package."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.yaml")))


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

"""`extends`: a recipe that states only what differs from another one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from rapidseg.core.arguments import describe_value
from rapidseg.core.errors import ConfigError
from rapidseg.core.strict_yaml import read_yaml
from rapidseg.recipes.catalog import RecipeKind, find_recipe, recipe_names
from rapidseg.recipes.network_start import replace_start
from rapidseg.recipes.renames import current_name, with_current_keys

EXTENDS = "extends"

# The key that decides which other keys a section has, by section.
_KIND = {
    **dict.fromkeys(("optimizer", "schedule", "loss"), "kind"),
    **dict.fromkeys(("model", "method"), "name"),
    "encoder": "network",
}


def resolve_recipe(path: Path, kind: RecipeKind = "training") -> dict[str, Any]:
    """Reads a recipe and everything that it extends.

    Mappings are merged key by key; lists and scalars replace those of the base. A section of another kind than the
    base's (another `kind` of optimizer, schedule or loss, or another `model.name`) replaces the base's section.
    `model.weights` replaces the base's `model.backbone_weights`, and the other way around.

    Args:
        path: a YAML file.
        kind: among whose recipes the names in `extends` are looked up.

    Returns:
        Keys, with their current names, and values; not validated, without `extends`.

    Raises:
        ConfigError: a file cannot be read, is not YAML or not a mapping; a base is unknown; recipes extend each other.
    """
    return _resolve(path, (), kind)


def read_keys(path: Path) -> dict[str, Any]:
    """Reads a recipe's own file.

    Raises:
        ConfigError: it cannot be read, is not YAML, or is not a mapping.
    """
    return read_yaml(path, "a recipe", advice="docs/training.md lists the keys of a recipe")


def _resolve(path: Path, extending: tuple[Path, ...], kind: RecipeKind) -> dict[str, Any]:
    content = read_keys(path)
    try:
        content = dict(with_current_keys(content))
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    if EXTENDS not in content:
        return content
    base = _find_base(content.pop(EXTENDS), path, kind)
    chain = (*extending, path.resolve())
    if base.resolve() in chain:
        names = " -> ".join(str(file) for file in (*chain[chain.index(base.resolve()) :], base.resolve()))
        raise ConfigError(f"recipes extend each other in a circle: {names}; remove one `extends`")
    merged = _resolve(base, chain, kind)
    for key, value in content.items():
        merged[key] = _merge(merged.get(key), value, _KIND.get(key))
    model = content.get("model")
    replace_start(merged.get("model"), model if isinstance(model, dict) else ())
    return merged


def _find_base(base: Any, path: Path, kind: RecipeKind) -> Path:
    if not isinstance(base, str):
        raise ConfigError(f"{path}: extends should be the name of a recipe or a file, not {describe_value(base)}")
    if current_name(base) not in recipe_names(kind):
        relative = path.parent / os.path.expanduser(base)
        if os.path.isfile(relative):
            return relative
        if relative.suffix.lower() in (".yaml", ".yml"):
            raise ConfigError(f"{path} cannot read {relative}, which it extends: no such file; correct `extends`")
    try:
        return find_recipe(base, kind)
    except ConfigError as error:
        raise ConfigError(f"{path}: extends: {error}") from error


def _merge(base: Any, value: Any, kind_key: str | None = None) -> Any:
    if not isinstance(base, dict) or not isinstance(value, dict):
        return value
    if kind_key in base and kind_key in value and base[kind_key] != value[kind_key]:
        return value
    return {**base, **{key: _merge(base.get(key), inner) for key, inner in value.items()}}

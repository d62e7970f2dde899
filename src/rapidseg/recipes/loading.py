"""Recipes as YAML files, with overrides from the command line and messages that name the nearest valid key."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from rapidseg.core.errors import ConfigError
from rapidseg.core.strict_yaml import explain_yaml, parse_yaml, read_yaml
from rapidseg.core.validation import explain_validation
from rapidseg.recipes.schema import Recipe

_MISSING = "; add it to the file, or write {key}=VALUE on the command line"


def load_recipe(path: str | os.PathLike[str], overrides: Sequence[str] = ()) -> Recipe:
    """Reads a recipe.

    Args:
        path: a YAML file.
        overrides: `a.b=VALUE`, where `a.b` is a key and VALUE is YAML; each takes the place of what the file says.

    Raises:
        ConfigError: the file cannot be read or is not YAML, or a key is unknown, missing or has a wrong value. The
            message names all such keys and, for an unknown one, the nearest that is valid.
    """
    path = Path(path)
    content = read_yaml(path, "a recipe", advice="docs/training.md lists the keys of a recipe")
    overridden = []
    for override in overrides:
        key, separator, text = override.partition("=")
        if not separator or not key:
            raise ConfigError(f"override {override!r} is not KEY=VALUE; write for example optimizer.lr=0.05")
        _set(content, key, _parse(text, where=f"override {override!r}"))
        overridden.append(key)
    try:
        # As JSON, so that a list may stand for a tuple, but a text never for a number.
        return Recipe.model_validate_json(json.dumps(content, default=str), strict=True)
    except ValidationError as error:
        where = f"{path} with {', '.join(overridden)} from the command line" if overridden else str(path)
        raise ConfigError(f"{where}: {explain_validation(error, Recipe, missing_advice=_MISSING)}") from error


def dump_recipe(recipe: Recipe) -> str:
    """Returns a recipe as YAML with every key, defaults included; `load_recipe` reads the same recipe from it."""
    return yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, default_flow_style=None, width=118)


def flatten(recipe: Recipe) -> dict[str, Any]:
    """Returns a recipe as dotted keys and their values, such as `optimizer.lr: 0.05`."""
    flat: dict[str, Any] = {}

    def add(prefix: str, value: Any) -> None:
        if isinstance(value, dict) and value:
            for key, inner in value.items():
                add(f"{prefix}.{key}" if prefix else key, inner)
        else:
            flat[prefix] = value

    add("", recipe.model_dump(mode="json"))
    return flat


def _parse(text: str, *, where: str) -> Any:
    try:
        return parse_yaml(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{where} is not valid YAML{explain_yaml(error)}") from error


def _set(content: dict[str, Any], key: str, value: Any) -> None:
    """Puts a value under a dotted key; sections that are missing or null are made."""
    *sections, last = key.split(".")
    place: Any = content
    for section in sections:
        if isinstance(place, list) and section.isdecimal() and int(section) < len(place):
            place = place[int(section)]
            continue
        if not isinstance(place, dict):
            break
        if place.get(section) is None:
            place[section] = {}
        place = place[section]
    if not isinstance(place, dict):
        parent = ".".join(sections)
        raise ConfigError(f"override {key}: {parent} is no section but {place!r}, so it has no key {last!r}")
    place[last] = value

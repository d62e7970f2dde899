"""Recipes as YAML files, with overrides from the command line and messages that name the nearest valid key."""

from __future__ import annotations

import json
import os
import re
import types
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from rapidseg.core.errors import ConfigError, nearest_hint
from rapidseg.core.strict_yaml import parse_yaml
from rapidseg.training.recipe import Recipe


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
    content = _read(path)
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
        raise ConfigError(f"{where}: {_explain(error)}") from error


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


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"cannot read the recipe {path}: {reason}") from error
    content = _parse(text, where=str(path))
    if not isinstance(content, dict):
        raise ConfigError(f"{path} holds no keys; docs/training.md lists those of a recipe")
    return content


def _parse(text: str, *, where: str) -> Any:
    try:
        return parse_yaml(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{where} is not valid YAML: {' '.join(str(error).split())}") from error


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


def _explain(error: ValidationError) -> str:
    """Returns what is wrong, all of it, unknown keys first: a misspelt key is missing under its right name too."""
    problems = error.errors(include_url=False)
    for kind in ("extra_forbidden", "missing"):
        some = [problem for problem in problems if problem["type"] == kind]
        if some:
            problems = some
            break
    messages: dict[str, list[str]] = {}  # several for one key where its value may be of several types
    for problem in problems:
        key = _dotted(problem["loc"])
        messages.setdefault(key, []).append(_describe(key, problem))
    return "; ".join(" or ".join(dict.fromkeys(some)) for some in messages.values())


def _describe(key: str, problem: ErrorDetails) -> str:
    if problem["type"] == "extra_forbidden":
        return f"unknown key {key!r}{_nearest(key)}"
    if problem["type"] == "missing":
        return f"the key {key!r} is missing; add it to the file, or write {key}=VALUE on the command line"
    if problem["type"] == "value_error":
        message = problem["msg"].removeprefix("Value error, ")
        return f"{key}: {message}" if key else message
    if problem["type"] == "union_tag_not_found":
        return f"the key '{key}.kind' is missing; docs/training.md lists the kinds"
    if problem["type"] == "union_tag_invalid":
        return f"{key}.kind: {problem['ctx']['tag']!r} is unknown; allowed are {problem['ctx']['expected_tags']}"
    message = problem["msg"][0].lower() + problem["msg"][1:]
    return f"{key}: {message}, not {problem['input']!r}"


def _dotted(location: tuple[int | str, ...]) -> str:
    """Returns the key at an error's location, without the union members that pydantic names in between."""
    known = _keys()
    parts: list[str] = []
    for place, part in enumerate(location):
        word = str(part)
        member = "[" in word or (0 < place < len(location) - 1 and ".".join([*parts, word]) not in known)
        if isinstance(part, int) or not member:
            parts.append(word)
    return ".".join(parts)


def _nearest(key: str) -> str:
    keys = _keys()
    key = re.sub(r"\.\d+", "", key)  # places in a list
    section, _, last = key.rpartition(".")
    if key in keys:
        return f", which belongs to another kind of {section}; remove it or give that section whole: {section}={{...}}"
    elsewhere = [known for known in keys if known.rpartition(".")[2] == last]
    return f"; did you mean {elsewhere[0]!r}?" if elsewhere else nearest_hint(key, keys)


def _keys() -> list[str]:
    """Returns every key that a recipe may have, dotted, sections included."""
    return list(_keys_of(Recipe, ""))


def _keys_of(model: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield f"{prefix}{name}"
        for inner in _models_in(field.annotation):
            yield from _keys_of(inner, f"{prefix}{name}.")


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        if issubclass(annotation, BaseModel):
            yield annotation
    elif get_origin(annotation) in (Union, types.UnionType, Annotated, tuple):
        for inner in get_args(annotation):
            yield from _models_in(inner)

"""From a recipe's name or file to a validated `Recipe`: bases, overrides, and data sets of your own."""

from __future__ import annotations

import json
import math
import operator
import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from rapidseg.core.arguments import describe_value, is_integer
from rapidseg.core.errors import ConfigError
from rapidseg.core.strict_yaml import dump_yaml, explain_yaml, parse_yaml
from rapidseg.core.validation import explain_validation, faulty_keys
from rapidseg.core.wording import count_of
from rapidseg.recipes.catalog import find_recipe
from rapidseg.recipes.extending import read_keys, resolve_recipe
from rapidseg.recipes.network_start import replace_start
from rapidseg.recipes.pretraining_schema import PretrainingRecipe
from rapidseg.recipes.renames import current_key, with_current_keys
from rapidseg.recipes.schema import Recipe, Section

SchemaT = TypeVar("SchemaT", bound=Section)

OWN_DATA = "own-data"
"""The recipe for a data description that is passed instead of a recipe."""

Overrides = Mapping[str, Any] | Sequence[str]
"""Dotted keys and their values, such as `{"optimizer.lr": 0.05}`; or texts `KEY=VALUE` with values in YAML."""

_MAX_INTEGER = 1 << 65  # the schema has the bounds; this one keeps texts of numbers short
_MAX_KEY_PARTS, _MAX_KEY_LENGTH = 20, 300  # of a dotted key

_MAX_SHOWN = 3  # changes that a message lists whatever they concern
_NO_CHANGES: Mapping[str, str] = {}

_MISSING = "; pass it: {key}=VALUE, or write it into a recipe of your own"


def load_recipe(
    source: str | os.PathLike[str],
    overrides: Overrides = (),
    *,
    iterations: int | None = None,
    note: Callable[[str], None] | None = None,
) -> Recipe:
    """Reads a recipe.

    Args:
        source: the name of a recipe, a recipe file, or a data description, for which the recipe `own-data` is taken.
        overrides: keys whose values replace the recipe's. A value replaces a whole section where the key names one.
            `model.weights` also replaces the recipe's `model.backbone_weights`, and the other way around.
        iterations: optimizer steps, in place of the recipe's. Intervals that do not fit are shortened, unless they are
            overridden: `evaluate_every` and `save_every` to a quarter of the run if they are longer than the run;
            `schedule.warmup_iterations` to its share of the recipe's own run if it is longer than a tenth of the run.
        note: gets a note where initial weights replace others.

    Raises:
        ConfigError: the file cannot be read or is not YAML, or a key is unknown, missing or has a wrong value. The
            message names all such keys and, for an unknown one, the nearest that is valid.
    """
    path = find_recipe(source)
    content = _own_data(path) if is_data_description(path) else resolve_recipe(path)
    overridden = _override(content, overrides)
    replaced = replace_start(content.get("model"), [key[6:] for key in overridden if key.startswith("model.")])
    if replaced is not None and note is not None:
        note(replaced)
    _set_default_roots(content)
    changes = {key: f"{key} overridden" for key in overridden}
    if iterations is not None:
        _set_iterations(content, iterations, keep=overridden)
        changes["iterations"] = count_of(iterations, "iteration")
    return _validate(content, Recipe, path, changes)


def load_pretraining_recipe(source: str | os.PathLike[str], overrides: Overrides = ()) -> PretrainingRecipe:
    """Reads a recipe of `rapidseg pretrain`; arguments and errors are those of `load_recipe`."""
    path = find_recipe(source, "pretraining")
    content = resolve_recipe(path, "pretraining")
    overridden = _override(content, overrides)
    return _validate(content, PretrainingRecipe, path, {key: f"{key} overridden" for key in overridden})


def is_data_description(source: str | os.PathLike[str]) -> bool:
    """Returns whether a recipe's name or file is a file that describes a data set (docs/data.md) instead.

    Raises:
        ConfigError: the name is unknown, or the file cannot be read.
    """
    return not read_keys(find_recipe(source)).keys().isdisjoint({"classes", "splits"})


def dump_recipe(recipe: Section) -> str:
    """Returns a recipe as YAML with every key, defaults included; `load_recipe` reads the same recipe from it."""
    return dump_yaml(recipe.model_dump(mode="json"))


def parse_recipe(text: str, schema: type[SchemaT], where: str) -> SchemaT:
    """Reads what `dump_recipe` wrote, also by an earlier version.

    Args:
        text: YAML.
        schema: of the recipe.
        where: what messages call the text.

    Raises:
        ConfigError: it is not a valid recipe.
    """
    try:
        content = parse_yaml(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{where} is not valid YAML{explain_yaml(error)}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{where}: it contains {describe_value(content)}, not keys with values")
    return _validate(with_current_keys(content), schema, where)


def flatten(recipe: Section) -> dict[str, Any]:
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


def _override(content: dict[str, Any], overrides: Overrides) -> list[str]:
    """Sets overridden values and returns their keys."""
    keys = []
    for key, value in _parse_overrides(overrides):
        _set(content, key, value)
        keys.append(key)
    return keys


def _validate(
    content: dict[str, Any], schema: type[SchemaT], path: Path | str, changes: Mapping[str, str] = _NO_CHANGES
) -> SchemaT:
    """Returns the recipe.

    Args:
        content: keys and values.
        schema: of the recipe.
        path: its file, for messages.
        changes: what the user changed in it, by key. A message names all of a few, and of more those that concern its
            keys.
    """
    try:
        # As JSON, so that a list is accepted for a tuple, but never a text for a number.
        return schema.model_validate_json(json.dumps(_plain(content)), strict=True)
    except _NotPlainError as error:
        raise ConfigError(f"{path}: {error}") from error
    except ValidationError as error:
        explained = explain_validation(error, schema, missing_advice=_MISSING)
        shown = list(changes.values())
        if len(shown) > _MAX_SHOWN:
            faulty = faulty_keys(error, schema)
            shown = [change for key, change in changes.items() if _concerns(key, faulty, explained)]
            shown = shown or [count_of(changes, "override")]
        where = f"{path} with {', '.join(shown)}" if shown else str(path)
        raise ConfigError(f"{where}: {explained}") from error


class _NotPlainError(Exception):
    """A recipe contains a value that YAML does not have."""


def _plain(value: Any, key: str = "") -> Any:
    """Returns a copy of plain values, which JSON can express.

    Overrides from Python may hold paths, tuples, and numbers of NumPy as well.

    Raises:
        _NotPlainError: a key is not text, or a value is something else.
    """
    if isinstance(value, Mapping):
        wrong = next((name for name in value if not isinstance(name, str)), None)
        if wrong is not None:
            section = f"{key}: the" if key else "the"
            raise _NotPlainError(f"{section} key {describe_value(wrong)} is not text; put it in quotes or correct it")
        return {_text(name, key): _plain(inner, f"{key}.{name}" if key else name) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner, f"{key}.{index}") for index, inner in enumerate(value)]
    if value is None or isinstance(value, (bool, float)):
        return value
    if isinstance(value, (str, os.PathLike)):
        return _text(os.fspath(value), key)
    if is_integer(value):
        integer = operator.index(value)
        if abs(integer) < _MAX_INTEGER:
            return integer
        raise _NotPlainError(f"{key} has more than 64 bits; no number of a recipe is as large")
    if hasattr(value, "__float__") and not hasattr(value, "__len__"):
        return float(value)
    raise _NotPlainError(f"{key} should be text, a number, a list or a mapping, not {describe_value(value)}")


def _text(text: Any, key: str) -> str:
    """Returns a text if JSON can express it."""
    if not isinstance(text, str) or any("\ud800" <= char <= "\udfff" for char in text):
        raise _NotPlainError(
            f"{key or 'a key'}: {describe_value(text)} is not Unicode text; rename files whose names are not UTF-8"
        )
    return text


def _concerns(key: str, faulty: Collection[str], explained: str) -> bool:
    """Returns whether a change of a key may be the cause of faults in others, or is one that the message names."""
    related = any(f"{key}.".startswith(f"{other}.") or f"{other}.".startswith(f"{key}.") for other in faulty if other)
    return related or re.search(rf"(?<![\w.]){re.escape(key)}(?![\w.]\w)", explained) is not None


def _own_data(description: Path) -> dict[str, Any]:
    """Returns the recipe `own-data` for a data description; without validation if the description has no `val`."""
    content = resolve_recipe(find_recipe(OWN_DATA))
    content["data"]["name"] = str(description.absolute())
    splits = read_keys(description).get("splits")
    if isinstance(splits, dict) and content["data"]["val"] not in splits:
        content["data"]["val"] = None
    return content


def _parse_overrides(overrides: Overrides) -> Iterable[tuple[str, Any]]:
    """Yields keys and values, with current names of keys."""
    if isinstance(overrides, str):
        overrides = [overrides]
    for override in overrides:
        if isinstance(overrides, Mapping):
            key, value = override, overrides[override]
            if not isinstance(key, str):
                raise ConfigError(f"override {describe_value(key)} is not a key; write for example 'optimizer.lr'")
        else:
            key, separator, text = override.partition("=")
            if not separator or not key:
                raise ConfigError(
                    f"override {describe_value(override)} is not KEY=VALUE; write for example optimizer.lr=0.05"
                )
            try:
                value = parse_yaml(text)
            except yaml.YAMLError as error:
                raise ConfigError(
                    f"override {describe_value(override)} is not valid YAML{explain_yaml(error)}"
                ) from error
        if key.count(".") >= _MAX_KEY_PARTS or len(key) > _MAX_KEY_LENGTH:
            raise ConfigError(f"override {describe_value(key)}: no key of a recipe is as long; correct it")
        key = current_key(key)
        yield key, with_current_keys(value, key)


def _set(content: dict[str, Any], key: str, value: Any) -> None:
    """Sets the value of a dotted key; sections that are missing or null are created."""
    *names, last = key.split(".")
    section: Any = content
    for name in names:
        if isinstance(section, list) and name.isdecimal() and len(name) < 10 and int(name) < len(section):
            section = section[int(name)]
            continue
        if not isinstance(section, dict):
            break
        if section.get(name) is None:
            section[name] = {}
        section = section[name]
    if not isinstance(section, dict):
        parent = ".".join(names)
        raise ConfigError(
            f"override {key}: {parent} is not a section but {describe_value(section)}, so it has no key {last!r}"
        )
    section[last] = value


def _set_default_roots(content: dict[str, Any]) -> None:
    """Lets data sets that a YAML file describes do without `root`: the file states it."""
    data = content.get("data")
    if not isinstance(data, dict):
        return
    extra = data.get("extra_datasets")
    for section in (data, *(extra if isinstance(extra, list) else ())):
        if isinstance(section, dict) and str(section.get("name")).lower().endswith((".yaml", ".yml")):
            section.setdefault("root", None)


def _set_iterations(content: dict[str, Any], iterations: int, keep: Sequence[str]) -> None:
    """Sets the length of a run and shortens intervals that do not fit, except `keep`; see `load_recipe`."""
    before = content.get("iterations")
    content["iterations"] = iterations
    for key in ("evaluate_every", "save_every"):
        value = content.get(key, Recipe.model_fields[key].default)
        if key not in keep and isinstance(value, int) and value > iterations > 0:
            content[key] = math.ceil(iterations / 4)
    schedule = content.get("schedule")
    if isinstance(schedule, dict) and not {"schedule", "schedule.warmup_iterations"} & set(keep):
        warmup = schedule.get("warmup_iterations", 0)
        if isinstance(warmup, int) and isinstance(before, int) and 0 < iterations < before and 10 * warmup > iterations:
            schedule["warmup_iterations"] = warmup * iterations // before

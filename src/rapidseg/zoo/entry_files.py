"""Reads the data files of the zoo, each only once."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from pydantic import ValidationError

from rapidseg.core.errors import ConfigError
from rapidseg.core.strict_yaml import read_yaml, read_yaml_value
from rapidseg.core.validation import explain_validation
from rapidseg.zoo.entries import ArchitectureEntry, BuiltInModel, NamedEntry, PublishedModel

_FOLDER = Path(__file__).parent
_ADVICE = "correct the file"
_Entry = TypeVar("_Entry", bound=NamedEntry)


@functools.cache
def published_models() -> Mapping[str, PublishedModel]:
    """Returns the published models by name."""
    paths = sorted((_FOLDER / "published").glob("*.yaml"))
    return MappingProxyType(_by_name([read_entry(path, PublishedModel) for path in paths]))


@functools.cache
def built_in_models() -> Mapping[str, BuiltInModel]:
    """Returns the entries of the model files in the package, by name."""
    paths = sorted((_FOLDER / "built_in").glob("*.yaml"), key=lambda path: path.stem)
    return MappingProxyType(_by_name([read_entry(path, BuiltInModel) for path in paths]))


@functools.cache
def architectures() -> Mapping[str, ArchitectureEntry]:
    """Returns the architectures by name, in the order of the file."""
    path = _FOLDER / "architectures.yaml"
    entries = read_yaml_value(path, "a list of architectures", advice=_ADVICE)
    return MappingProxyType(_by_name([_validate(entry, ArchitectureEntry, path) for entry in entries]))


def read_entry(path: Path, kind: type[_Entry]) -> _Entry:
    """Reads a data file.

    Args:
        path: a YAML file whose name is the `name` in it.
        kind: the type of its entry.

    Raises:
        ConfigError: the file is not YAML, lacks a key, has an unknown key or a wrong value, or has another name.
    """
    entry = _validate(read_yaml(path, "an entry of the zoo", advice=_ADVICE), kind, path)
    if entry.name != path.stem:
        raise ConfigError(
            f"{path}: the file is named {path.stem!r}, but the name in it is {entry.name!r}; use the same name"
        )
    return entry


def _validate(content: Any, kind: type[_Entry], path: Path) -> _Entry:
    try:
        # As JSON, so that a list is valid for a tuple, but text is never valid for a number.
        return kind.model_validate_json(json.dumps(content), strict=True)
    except ValidationError as error:
        raise ConfigError(f"{path}: {explain_validation(error, kind)}") from error


def _by_name(entries: list[_Entry]) -> dict[str, _Entry]:
    return {entry.name: entry for entry in entries}

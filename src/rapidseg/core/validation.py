"""What is wrong with values that a pydantic model rejects, in words for whoever wrote them."""

from __future__ import annotations

import re
import types
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from rapidseg.core.errors import nearest_hint

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

# What pydantic calls a type, and what people who write YAML or JSON call it.
_TYPES = (
    (re.compile(r"a valid dictionary or (instance|object) .*"), "keys with values"),
    (re.compile(r"a valid dictionary"), "keys with values"),
    (re.compile(r"a valid (tuple|array)"), "a list"),
    (re.compile(r"a valid string"), "text"),
    (re.compile(r"a valid (integer|boolean)"), r"\1"),
    (re.compile(r"(an?|the) (integer|boolean)$"), r"\2"),
)


def explain_validation(error: ValidationError, model: type[BaseModel], *, missing_advice: str = "") -> str:
    """Returns everything that is wrong, in one line; the caller says where it was and what to do.

    Unknown keys come alone: a misspelled key is missing under its right name as well. Missing keys come next.

    Args:
        error: what pydantic raised.
        model: the model that was validated, for the nearest valid key.
        missing_advice: what follows where a key is missing; `{key}` in it is the dotted key.
    """
    problems = error.errors(include_url=False)
    for kind in ("extra_forbidden", "missing"):
        some = [problem for problem in problems if problem["type"] == kind]
        if some:
            problems = some
            break
    messages: dict[str, list[str]] = {}  # several for one key where its value may be of several types
    for problem in problems:
        key = _dotted(problem["loc"], model)
        messages.setdefault(key, []).append(_describe(key, problem, model, missing_advice))
    return "; ".join(" or ".join(dict.fromkeys(some)) for some in messages.values())


def dotted_keys(model: type[BaseModel]) -> tuple[str, ...]:
    """Returns every key that a model may have, dotted, sections included; entries of lists have no index."""
    return tuple(dict.fromkeys(_keys_of(model, "", ())))


def _describe(key: str, problem: ErrorDetails, model: type[BaseModel], missing_advice: str) -> str:
    kind = problem["type"]
    if kind == "extra_forbidden":
        return f"unknown key {key!r}{_nearest(key, model)}"
    if kind == "missing":
        return f"the key {key!r} is missing{missing_advice.format(key=key)}"
    if kind in ("value_error", "json_invalid"):
        message = problem["msg"].removeprefix("Value error, ")
        return f"{key}: {message}" if key else message
    if kind == "union_tag_not_found":
        return f"the key '{key}.{_tag(problem)}' is missing"
    if kind == "union_tag_invalid":
        context = problem["ctx"]
        return f"{key}.{_tag(problem)}: {context['tag']!r} is unknown; allowed are {context['expected_tags']}"
    message = problem["msg"][0].lower() + problem["msg"][1:]
    for pattern, plain in _TYPES:
        message = pattern.sub(plain, message)
    message = message.replace("input should be", "should be")
    given = f", not {problem['input']!r}"
    return f"{key}: {message}{given}" if key else f"{message}{given}"


def _tag(problem: ErrorDetails) -> str:
    return str(problem["ctx"]["discriminator"]).strip("'")


def _dotted(location: tuple[int | str, ...], model: type[BaseModel]) -> str:
    """Returns the key at an error's location, without the union members that pydantic names in between."""
    known = dotted_keys(model)
    parts: list[str] = []
    for index, part in enumerate(location):
        if isinstance(part, int):
            parts.append(str(part))
            continue
        if part in ("[key]", "int", "str") or "[" in part:
            continue
        path = ".".join(name for name in [*parts, part] if not name.isdecimal())
        last = index == len(location) - 1
        if last or path in known or ".".join(name for name in parts if not name.isdecimal()) not in known:
            parts.append(part)
    return ".".join(parts)


def _nearest(key: str, model: type[BaseModel]) -> str:
    keys = dotted_keys(model)
    plain = re.sub(r"\.\d+", "", key)
    section, _, last = plain.rpartition(".")
    if plain in keys:
        return f", which belongs to another kind of {section}; remove it or give that section whole: {section}={{...}}"
    elsewhere = [known for known in keys if known.rpartition(".")[2] == last]
    return f"; did you mean {elsewhere[0]!r}?" if elsewhere else nearest_hint(plain, keys)


def _keys_of(model: type[BaseModel], prefix: str, above: tuple[type[BaseModel], ...]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        key = f"{prefix}{field.alias or name}"
        yield key
        for inner in _models_in(field.annotation):
            if inner not in above:
                yield from _keys_of(inner, f"{key}.", (*above, inner))


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        if issubclass(annotation, BaseModel):
            yield annotation
    elif get_origin(annotation) in (Union, types.UnionType, Annotated, tuple, list, dict):
        for inner in get_args(annotation):
            yield from _models_in(inner)

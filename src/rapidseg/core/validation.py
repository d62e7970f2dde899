"""Explains to users why a pydantic model rejects the values in their file."""

from __future__ import annotations

import re
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import AliasChoices, BaseModel, ValidationError
from pydantic.fields import FieldInfo

from rapidseg.core.arguments import describe_value
from rapidseg.core.errors import did_you_mean, nearest_hint, nearest_words

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_MAX_PROBLEMS = 5  # problems that a message lists

# The expected value by the type of pydantic's error; the messages of other types are used as they are.
_EXPECTED = {
    **dict.fromkeys(("int_type", "int_parsing", "int_parsing_size", "int_from_float"), "an integer"),
    **dict.fromkeys(("float_type", "float_parsing"), "a number"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "true or false"),
    **dict.fromkeys(("string_type", "string_sub_type"), "text"),
    **dict.fromkeys(("path_type",), "a path"),
    **dict.fromkeys(("list_type", "tuple_type", "set_type", "frozen_set_type"), "a list"),
    **dict.fromkeys(
        ("dict_type", "mapping_type", "model_type", "model_attributes_type", "dataclass_type"), "keys with values"
    ),
}
_SHOULD_BE = re.compile(r"Input should be (.*)", re.DOTALL)
_TOO_LONG = re.compile(r".* should have (at (?:most|least) \d+) (\w+) after validation, not \d+")


def explain_validation(error: ValidationError, model: type[BaseModel], *, missing_advice: str = "") -> str:
    """Returns all problems in one line; the caller adds the file and advice.

    If keys are unknown, only these are reported: a misspelled key is missing under its right name as well. Otherwise,
    if keys are missing, only these are. Five problems are listed at most.

    Args:
        error: the error of pydantic.
        model: the model that raised it, to suggest valid keys.
        missing_advice: text to append to a missing key; `{key}` in it is replaced by the dotted key.
    """
    problems = [_Problem(details, _locate(details["loc"], model)) for details in error.errors(include_url=False)]
    for kind in ("extra_forbidden", "missing"):
        some = [problem for problem in problems if problem.kind == kind and isinstance(problem.details["loc"][-1], str)]
        if some:
            return _list(dict.fromkeys(problem.describe(model, missing_advice) for problem in some))
    by_key: dict[str, list[_Problem]] = {}  # a key has several problems if its value may have several types
    for problem in problems:
        by_key.setdefault(problem.location.key, []).append(problem)
    return _list(
        _join(key, some, model, missing_advice)
        for key, some in by_key.items()
        # If the value may have several types, report the one whose parts were checked.
        if not any(other.startswith(f"{key}.") for other in by_key if key)
    )


def faulty_keys(error: ValidationError, model: type[BaseModel]) -> tuple[str, ...]:
    """Returns the dotted keys that have problems; '' for a problem of the whole model."""
    return tuple(dict.fromkeys(_locate(details["loc"], model).key for details in error.errors(include_url=False)))


def _list(messages: Iterable[str]) -> str:
    messages = list(messages)
    more = f"; and {len(messages) - _MAX_PROBLEMS} more" if len(messages) > _MAX_PROBLEMS else ""
    return "; ".join(messages[:_MAX_PROBLEMS]) + more


def dotted_keys(model: type[BaseModel]) -> tuple[str, ...]:
    """Returns all dotted keys of a model, including sections; entries of lists have no index."""
    return tuple(dict.fromkeys(_keys_of(model, "", ())))


@dataclass(frozen=True)
class _Location:
    """The location of an error in the values.

    Attributes:
        parts: the keys and indices that lead there, without the names of union members that pydantic inserts.
        owner: the model that has, or rejects, the last key.
        rivals: the other models that are allowed in this section.
    """

    parts: tuple[str, ...] = ()
    owner: type[BaseModel] | None = None
    rivals: tuple[type[BaseModel], ...] = ()

    @property
    def key(self) -> str:
        return ".".join(self.parts)

    @property
    def section(self) -> str:
        return ".".join(self.parts[:-1])

    def below(self, part: str | int) -> _Location:
        return replace(self, parts=(str(part), *self.parts))


@dataclass(frozen=True)
class _Problem:
    """An error of pydantic with its location."""

    details: ErrorDetails
    location: _Location

    @property
    def kind(self) -> str:
        return self.details["type"]

    def expected(self) -> str | None:
        """Returns what the value should be, or None if the problem is another one."""
        match = _SHOULD_BE.fullmatch(self.details["msg"])
        return _EXPECTED.get(self.kind) or (match[1] if match else None)

    def describe(self, model: type[BaseModel], missing_advice: str) -> str:
        details, key = self.details, self.location.key
        if self.kind == "extra_forbidden":
            return f"unknown key {key!r}{_advise(self.location, model)}"
        if self.kind == "missing":
            if not isinstance(details["loc"][-1], str):
                return _prefixed(self.location.section, f"has too few values: {describe_value(details['input'])}", " ")
            return f"the key {key!r} is missing{missing_advice.format(key=key)}"
        if self.kind == "json_invalid":
            return details["msg"]
        if self.kind == "value_error":
            return _prefixed(key, details["msg"].removeprefix("Value error, "))
        if self.kind == "union_tag_not_found":
            return f"the key {_prefixed(key, self._tag(), '.')!r} is missing"
        if self.kind == "union_tag_invalid":
            given, allowed = str(details["ctx"]["tag"]), details["ctx"]["expected_tags"]
            hint = nearest_hint(given, re.findall(r"'([^']*)'", allowed))
            return f"{_prefixed(key, self._tag(), '.')}: {given!r} is unknown; allowed are {allowed}{hint}"
        message = _TOO_LONG.sub(r"should have \1 \2", details["msg"])
        separator = " " if message.startswith("should ") else ": "
        return _prefixed(key, f"{message[0].lower()}{message[1:]}, not {describe_value(details['input'])}", separator)

    def _tag(self) -> str:
        return str(self.details["ctx"]["discriminator"]).strip("'")


def _join(key: str, problems: list[_Problem], model: type[BaseModel], missing_advice: str) -> str:
    """Returns one message for a key: `size should be an integer or a list, not 'x'`."""
    specific = [problem for problem in problems if problem.expected() is None]
    if specific:  # the value has one of the allowed types, so the other types do not matter
        return " or ".join(dict.fromkeys(problem.describe(model, missing_advice) for problem in specific))
    wanted = " or ".join(dict.fromkeys(problem.expected() or "" for problem in problems))
    given = problems[-1].details["input"]
    hint = nearest_hint(given, re.findall(r"'([^']*)'", wanted)) if isinstance(given, str) else ""
    return _prefixed(key, f"should be {wanted}, not {describe_value(given)}{hint}", " ")


def _prefixed(key: str, message: str, separator: str = ": ") -> str:
    return f"{key}{separator}{message}" if key else message


def _advise(location: _Location, model: type[BaseModel]) -> str:
    """Returns advice on an unknown key."""
    *_, last = location.parts
    section = location.section
    if any(last in _fields_of(rival) for rival in location.rivals):
        return f", which belongs to another kind of {section}; remove it or replace the whole section {section!r}"
    fields = location.owner.model_fields if location.owner else {}
    siblings = {name: _keys_for(name, found)[0] for name, found in fields.items()}
    nearest = siblings.get(last) or next(iter(nearest_words(last, list(siblings.values()))), None)
    if nearest:
        return did_you_mean(_prefixed(section, nearest, "."))
    keys = dotted_keys(model)
    elsewhere = [known for known in keys if known.rpartition(".")[2] == last]
    return did_you_mean(elsewhere[0]) if elsewhere else nearest_hint(location.key, keys)


def _locate(location: tuple[int | str, ...], model: type[BaseModel]) -> _Location:
    """Returns the location of an error; the types of the model tell keys from names of union members."""
    return _follow(location, model) or _Location(tuple(str(part) for part in location))


def _follow(location: Sequence[int | str], annotation: Any, tagged: str | None = None) -> _Location | None:
    """Follows the location of an error through a type. Returns None if the type does not have this location.

    Args:
        location: the rest of the location.
        annotation: the type to follow it through.
        tagged: the key that selects the member of a union.
    """
    if get_origin(annotation) is Annotated:
        annotation, *metadata = get_args(annotation)
        for entry in metadata:
            if isinstance(entry, FieldInfo) and isinstance(entry.discriminator, str):
                tagged = entry.discriminator
    if not location:
        return _Location()
    head, rest = location[0], location[1:]
    if _is_union(annotation):
        return _follow_member(location, annotation, tagged)
    if (model := _as_model(annotation)) is not None:
        if not isinstance(head, str):
            return None
        found = _fields_of(model).get(head)
        if found is None:
            return _Location((head, *(str(part) for part in rest)), model)
        inner = _follow(rest, found.annotation, found.discriminator if isinstance(found.discriminator, str) else None)
        if inner is None:
            return None
        return replace(inner, owner=inner.owner or model).below(head)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        inner = _Location() if rest[:1] == ("[key]",) else _follow(rest, arguments[1])
    elif isinstance(origin, type) and issubclass(origin, (Sequence, set, frozenset)) and isinstance(head, int):
        varied = origin is tuple and arguments[-1] is not Ellipsis
        if varied and head >= len(arguments):
            return None
        inner = _follow(rest, arguments[head] if varied else arguments[0])
    else:
        return None
    return None if inner is None else inner.below(head)


def _follow_member(location: Sequence[int | str], annotation: Any, tagged: str | None) -> _Location | None:
    members = [member for member in get_args(annotation) if member is not type(None)]
    if len(members) == 1:
        return _follow(location, members[0], tagged)
    label, rest = location[0], location[1:]
    named = [member for member in members if _is_called(member, str(label), tagged)]
    for member in named or members:
        inner = _follow(rest, member)
        if inner is not None:
            others = [_as_model(other) for other in members if other is not member]
            rivals = tuple(other for other in others if other is not None)
            return inner if inner.rivals or len(inner.parts) > 1 else replace(inner, rivals=rivals)
    return None


def _is_called(member: Any, label: str, tagged: str | None) -> bool:
    """Returns whether pydantic uses this label for a member of a union: its tag, or the name of its type."""
    model = _as_model(member)
    if model is None:
        return label.startswith(getattr(get_origin(member) or member, "__name__", str(member)))
    if tagged is not None:
        tag = model.model_fields.get(tagged)
        return tag is not None and get_origin(tag.annotation) is Literal and label in map(str, get_args(tag.annotation))
    return label == model.__name__ or f"{model.__name__}]" in label


def _is_union(annotation: Any) -> bool:
    return get_origin(annotation) in (Union, types.UnionType)


def _as_model(annotation: Any) -> type[BaseModel] | None:
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    is_class = isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias)
    return annotation if is_class and issubclass(annotation, BaseModel) else None


def _fields_of(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """Returns the fields of a model by each of their keys; the preferred key of a field comes first."""
    return {key: found for name, found in model.model_fields.items() for key in _keys_for(name, found)}


def _keys_for(name: str, found: FieldInfo) -> tuple[str, ...]:
    alias = found.validation_alias or found.alias
    if isinstance(alias, AliasChoices):
        return tuple(choice for choice in alias.choices if isinstance(choice, str))
    return (alias,) if isinstance(alias, str) else (name,)


def _keys_of(model: type[BaseModel], prefix: str, above: tuple[type[BaseModel], ...]) -> Iterator[str]:
    for name, found in model.model_fields.items():
        key = f"{prefix}{_keys_for(name, found)[0]}"
        yield key
        for inner in _models_in(found.annotation):
            if inner not in above:
                yield from _keys_of(inner, f"{key}.", (*above, inner))


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    model = _as_model(annotation)
    if model is not None:
        yield model
    else:
        for inner in get_args(annotation):
            yield from _models_in(inner)

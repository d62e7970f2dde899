"""Checks of the arguments of public functions: a wrong one gives one message, never an error from deep inside.

A function states a rule for each parameter in the decorator `checked`. A rule is called with the parameter's name, as
the user wrote it, and the value; it raises `InputError` with what came and what is allowed.
"""

from __future__ import annotations

import functools
import inspect
import math
import operator
import os
from collections.abc import Callable, Iterable
from typing import Any, ParamSpec, TypeVar

from rapidseg.core.errors import InputError, RapidSegError
from rapidseg.core.os_errors import explain_error

Rule = Callable[[str, Any], object]

MAX_INTEGER = (1 << 31) - 1
"""Largest integer that an argument without a maximum of its own may have."""

MAX_NUMBER = 1e9
"""Largest number that an argument without a maximum of its own may have."""

_MAX_VALUE = 80  # characters of a wrong value that a message repeats
_PATH = "a path or a name, as text or pathlib.Path"

Parameters = ParamSpec("Parameters")
Returned = TypeVar("Returned")


def checked(**rules: Rule) -> Callable[[Callable[Parameters, Returned]], Callable[Parameters, Returned]]:
    """Returns a decorator that checks arguments before the function runs. None is allowed where it is the default.

    Whatever the operating system refuses while the function runs, and no code nearer to it explains, is raised as
    `RapidSegError`: a folder without permission, a path that is too long, text that cannot be encoded.

    Args:
        rules: a rule for every parameter of the function.
    """

    def decorate(function: Callable[Parameters, Returned]) -> Callable[Parameters, Returned]:
        signature = inspect.signature(function)
        assert rules.keys() == signature.parameters.keys(), f"{function.__name__} needs a rule per parameter"

        @functools.wraps(function)
        def call(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Returned:
            try:
                given = signature.bind(*args, **kwargs).arguments
            except TypeError:
                return function(*args, **kwargs)  # a parameter is missing or unknown, as Python itself says
            try:
                for name, value in given.items():
                    if value is not None or signature.parameters[name].default is not None:
                        rules[name](name, value)
                return function(*args, **kwargs)
            except (OSError, ValueError, RuntimeError) as error:
                message = None if isinstance(error, RapidSegError) else explain_error(error)
                if message is None:
                    raise
                raise RapidSegError(message) from error

        return call

    return decorate


def describe_value(value: Any) -> str:
    """Returns a wrong value as messages repeat it: at most 80 characters, and the shape of an array or tensor."""
    if hasattr(value, "shape"):
        return f"{type(value).__name__} of shape {tuple(value.shape)}"
    try:
        text = " ".join(repr(value).split())
    except (ValueError, RecursionError):  # an integer of more than 4,300 digits; a value that is nested too deeply
        return f"a value of type {type(value).__name__}"
    return text if len(text) <= _MAX_VALUE else f"{text[:_MAX_VALUE]}..."


def refusal(name: str, value: Any, expected: str) -> InputError:
    """Returns the error about a wrong argument: `rounds is 0; pass an integer of 1 or more`."""
    return InputError(f"{name} is {describe_value(value)}; pass {expected}")


def check_path(name: str, value: Any, expected: str = _PATH) -> str:
    """Returns a path or name as text; rejects other types, and text without a letter."""
    if isinstance(value, (str, os.PathLike)) and isinstance(path := os.fspath(value), str) and path.strip():
        return path
    raise refusal(name, value, expected)


def is_integer(value: object) -> bool:
    """Tells whether a value is an integer of any library; True and False are not."""
    return hasattr(value, "__index__") and not isinstance(value, bool) and not hasattr(value, "__len__")


def check_integer(name: str, value: Any, minimum: int | None = None, maximum: int | None = None) -> int:
    """Returns an integer; rejects other types, and integers below `minimum` or above `maximum`."""
    inside = is_integer(value) and (minimum is None or value >= minimum) and (maximum is None or value <= maximum)
    if inside:
        return operator.index(value)
    bounds = ""
    if minimum is not None:
        bounds = f" of {minimum} or more" if maximum is None else f" from {minimum} to {maximum}"
    raise refusal(name, value, f"an integer{bounds}")


def check_number(
    name: str, value: Any, minimum: float | None = None, maximum: float | None = None, note: str = ""
) -> float:
    """Returns a number; rejects other types, NaN, infinity, and numbers outside of `minimum` to `maximum`.

    Args:
        name: of the argument.
        value: what came.
        minimum, maximum: what is allowed; None: no bound.
        note: further advice for the message.
    """
    is_number = hasattr(value, "__float__") and not isinstance(value, bool) and not hasattr(value, "__len__")
    if is_number and _is_finite(value):
        low, high = -math.inf if minimum is None else minimum, math.inf if maximum is None else maximum
        if low <= value <= high:
            return float(value)
    bounds = ""
    if minimum is not None:
        bounds = f" of {minimum:g} or more" if maximum is None else f" from {minimum:g} to {maximum:g}"
    raise refusal(name, value, f"a number{bounds}{note}")


def _is_finite(value: Any) -> bool:
    try:
        return math.isfinite(value)
    except (ValueError, OverflowError, TypeError):  # 10 ** 400; a signaling NaN of `decimal`
        return False


def as_items(name: str, value: Any, expected: str) -> tuple[Any, ...]:
    """Returns several items as a tuple. Text, bytes or a path is a single item, never iterated over.

    Args:
        name: of the argument.
        value: an item or an iterable of items.
        expected: what is allowed, for the message about a value that is neither.
    """
    if isinstance(value, (str, bytes, os.PathLike)):
        return (value,)
    if not isinstance(value, Iterable):
        raise refusal(name, value, expected)
    return tuple(value)


def as_paths(name: str, value: Any) -> tuple[str, ...]:
    """Returns one path or several as texts; rejects other items."""
    expected = "a path or a list of paths"
    return tuple(check_path(name, item, expected) for item in as_items(name, value, expected))


def as_names(name: str, value: Any) -> tuple[str, ...]:
    """Returns one name, several, or comma-separated text, as a tuple of names without surrounding spaces."""
    expected = "a name, a list of names, or comma-separated names"
    names: list[str] = []
    for item in as_items(name, value, expected):
        if not isinstance(item, str):
            raise refusal(name, value, expected)
        names += [part.strip() for part in item.split(",") if part.strip()]
    return tuple(names)


def as_texts(name: str, value: Any) -> tuple[str, ...]:
    """Returns one text or several as a tuple; rejects other items."""
    texts = as_items(name, value, "text or a list of texts")
    if not all(isinstance(text, str) for text in texts):
        raise refusal(name, value, "text or a list of texts")
    return texts


def as_numbers(name: str, value: Any) -> tuple[float, ...]:
    """Returns one number, several, or comma-separated text, as a tuple of numbers."""
    if isinstance(value, str):
        try:
            return tuple(float(part) for part in value.split(","))
        except ValueError as error:
            raise InputError(f"{name} are comma-separated numbers, such as 0.5,1,1.5, not {value!r}") from error
    items = value if isinstance(value, Iterable) and not isinstance(value, bytes) else (value,)
    return tuple(check_number(name, item) for item in items)


def integer(minimum: int | None = None, maximum: int | None = None, *, limit: int = MAX_INTEGER) -> Rule:
    """Returns the rule of `check_integer`.

    Args:
        minimum, maximum: what is allowed; None: no bound that users need to know of.
        limit: the bound where there is no maximum, far beyond what is of use.
    """

    def rule(name: str, value: Any) -> None:
        is_beyond = maximum is None and is_integer(value) and value > limit
        check_integer(name, value, minimum, limit if is_beyond else maximum)

    return rule


def number(minimum: float | None = None, maximum: float | None = None, note: str = "") -> Rule:
    """Returns the rule of `check_number`; numbers beyond `MAX_NUMBER` are refused, too."""

    def rule(name: str, value: Any) -> None:
        is_beyond = maximum is None and check_number(name, value, minimum, maximum, note) > MAX_NUMBER
        check_number(name, value, minimum, MAX_NUMBER if is_beyond else maximum, note)

    return rule


def instance(kinds: type | tuple[type, ...], expected: str) -> Rule:
    """Returns a rule that allows only instances of some types, described by `expected`."""

    def rule(name: str, value: Any) -> None:
        if not isinstance(value, kinds):
            raise refusal(name, value, expected)

    return rule


def optional(rule: Rule) -> Rule:
    """Returns a rule that allows None, too, for a parameter without a default."""
    return lambda name, value: None if value is None else rule(name, value)


TEXT = instance(str, "text")
FLAG = instance(bool, "True or False")

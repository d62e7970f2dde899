"""Validates the options of a network, as users write them in Python, in recipes and in files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from rapidseg.core.errors import ConfigError, nearest_hint
from rapidseg.core.validation import explain_validation

OptionsT = TypeVar("OptionsT", bound=BaseModel)


def resolve_options(
    schema: type[OptionsT], options: Mapping[str, Any], *, network: str, defaults: Mapping[str, Any] | None = None
) -> OptionsT:
    """Returns all options of a network.

    Args:
        schema: the options that the network has.
        options: as the user gave them.
        network: its name, for messages.
        defaults: values that differ from the schema's defaults.

    Raises:
        ConfigError: an option is unknown, or its value is not allowed.
    """
    allowed = tuple(schema.model_fields)
    for key in options:
        if key not in allowed:
            hint = nearest_hint(key, allowed)
            raise ConfigError(f"unknown option {key!r} of {network}{hint}; known: {', '.join(allowed)}")
    try:
        return schema.model_validate({**(defaults or {}), **options})
    except ValidationError as error:
        raise ConfigError(f"options of {network}: {explain_validation(error, schema)}") from error

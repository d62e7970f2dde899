"""What a network starts from: `model.weights` or `model.backbone_weights`, of which the latest choice wins."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

_OTHER = {"weights": "backbone_weights", "backbone_weights": "weights"}


def replace_start(model: Any, stated: Collection[str]) -> str | None:
    """Sets the key that a recipe inherits to null where the other one is stated instead of it.

    Args:
        model: the section `model` of a recipe, as YAML gives it; changed in place.
        stated: its keys that were stated last, by an override or by the recipe that extends another one.

    Returns:
        A note on what was replaced; None where nothing was. Where both keys are stated, the schema refuses them.
    """
    if not isinstance(model, dict):
        return None
    for key, other in _OTHER.items():
        if key in stated and other not in stated and model.get(key) is not None and model.get(other) is not None:
            replaced, model[other] = model[other], None
            return f"model.{key} replaces the recipe's model.{other} ({replaced})"
    return None

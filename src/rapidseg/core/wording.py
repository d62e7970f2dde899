"""Words of messages that depend on a number."""

from __future__ import annotations

from collections.abc import Sized


def count_of(items: Sized | int, noun: str) -> str:
    """Returns a number with its noun: `no images`, `1 image`, `2 images`.

    Args:
        items: what is counted, or its number, 0 or more.
        noun: in the singular, with a regular plural.
    """
    number = items if isinstance(items, int) else len(items)
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"

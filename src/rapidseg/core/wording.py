"""Words of messages that depend on a number."""

from __future__ import annotations


def count(number: int, noun: str) -> str:
    """Returns a number with its noun: `no images`, `1 image`, `2 images`.

    Args:
        number: 0 or more.
        noun: in the singular, with a regular plural.
    """
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"

"""Words of messages that depend on a number."""

from __future__ import annotations

import unicodedata
from collections.abc import Sized

_CONTROLS = frozenset({"Cc", "Cs", "Zl", "Zp"})  # categories of Unicode
_BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def count_of(items: Sized | int, noun: str) -> str:
    """Returns a number with its noun: `no images`, `1 image`, `2 images`.

    Args:
        items: what is counted, or its number, 0 or more.
        noun: in the singular, with a regular plural.
    """
    number = items if isinstance(items, int) else len(items)
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"


def is_plain(text: str) -> bool:
    """Tells whether a text has no control characters, line separators, or marks that reverse its direction."""
    return not any(unicodedata.category(letter) in _CONTROLS or letter in _BIDI for letter in text)


def shortened(text: object, limit: int = 200) -> str:
    """Returns a text from outside for a message: in one line of at most about `limit` characters.

    Args:
        text: such as a path or a name; characters that cannot be printed become escapes.
        limit: characters; of a longer text the middle is replaced with dots.
    """
    plain = str(text)
    if len(plain) > limit:
        plain = f"{plain[: limit // 2]}...{plain[-limit // 2 :]}"
    return plain if plain.isprintable() else repr(plain)[1:-1]

"""Text from outside (names of files, values, words of libraries) as messages and terminals show it."""

from __future__ import annotations

import os
import re
import unicodedata

# Control characters without tab and newline, which messages use; those of ISO 8859 (a terminal may take 0x9B for the
# beginning of a command); marks that reverse the direction of text; Python's stand-ins for bytes that are not UTF-8.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_CONTROLS = frozenset({"Cc", "Cs", "Zl", "Zp"})  # categories of Unicode
_BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def printable(text: str) -> str:
    r"""Returns text with an escape, such as `\x1b` or `\udcdf`, in place of each character that acts on a terminal.

    Tabs and newlines stay. A text without such characters is returned as it is.
    """
    return _UNPRINTABLE.sub(lambda match: _escape(match[0]), text)


def is_plain(text: str) -> bool:
    """Tells whether a text has no control characters, line separators, or marks that reverse its direction."""
    return not any(unicodedata.category(letter) in _CONTROLS or letter in _BIDI for letter in text)


def one_line(text: object, limit: int = 200) -> str:
    """Returns words of a library or a server for a message: in one line, without the end if they are long.

    Args:
        text: such as an exception; characters that cannot be printed become escapes.
        limit: characters.
    """
    line = _escaped(" ".join(str(text).split()))
    return line if len(line) <= limit else f"{line[:limit]}..."


def shortened(text: object, limit: int = 200) -> str:
    """Returns a path or a name for a message: in one line; of a long one the beginning, the end and the length.

    Args:
        text: such as a path; characters that cannot be printed become escapes.
        limit: characters.
    """
    line = _escaped(os.fspath(text) if isinstance(text, os.PathLike) else str(text))
    if len(line) <= limit:
        return line
    return f"{line[: limit // 2]}...{line[-limit // 4 :]} ({len(line)} characters)"


def _escaped(text: str) -> str:
    return "".join(letter if letter.isprintable() else _escape(letter) for letter in text)


def _escape(letter: str) -> str:
    named = {"\n": r"\n", "\t": r"\t"}
    code = ord(letter)
    wide = f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
    return named.get(letter) or (f"\\x{code:02x}" if code < 0x100 else wide)

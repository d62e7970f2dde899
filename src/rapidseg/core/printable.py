"""Names of files as text that a terminal can show: whatever bytes they have, nothing in them acts on the terminal."""

from __future__ import annotations

import re

# Control characters without tab and newline, which messages use; those of ISO 8859 (a terminal may take 0x9B for the
# beginning of a command); marks that reverse the direction of text; Python's stand-ins for bytes that are not UTF-8.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    r"""Returns text with an escape, such as `\x1b` or `\udcdf`, in place of each unprintable character.

    Tabs and newlines stay. A text without such characters is returned as it is.
    """
    return _UNPRINTABLE.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"

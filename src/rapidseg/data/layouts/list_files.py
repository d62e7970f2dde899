"""Text files that list the images of a split, and what to write in place of lines that do not fit."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

from rapidseg.core.errors import DatasetError
from rapidseg.core.printable import is_plain

_UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_HEADER_WORDS = frozenset({"file", "filename", "files", "id", "index", "name", "names", "path", "paths", "split"}) | {
    f"{word}{ending}" for word in ("image", "img", "label", "mask") for ending in ("", "s", "_path")
}
_MAX_LINE = 4096  # characters; longer than any path
_MAX_SHOWN = 80  # characters of a line that a message shows


@dataclass(frozen=True)
class Line:
    """A line of a list: its number, counted from 1, and its text without blanks around."""

    number: int
    text: str

    def __str__(self) -> str:
        shown = self.text if len(self.text) <= _MAX_SHOWN else f"{self.text[: _MAX_SHOWN - 3]}..."
        return f"line {self.number}, {shown!r}"


def read_lines(path: Path, where: str) -> list[Line]:
    """Reads a list. Blank lines are skipped.

    Args:
        path: the file.
        where: what messages call it.

    Raises:
        DatasetError: it cannot be read, or is not text in UTF-8.
    """
    try:
        content = path.read_bytes()
    except (OSError, ValueError) as error:  # a path with a null character is a ValueError
        reason = getattr(error, "strerror", None) or str(error)
        raise DatasetError(f"{where}, cannot be read: {reason}; use a text file with one image per line") from error
    if content.startswith(_UTF_16_MARKS) or b"\0" in content[:1024]:
        raise DatasetError(
            f"{where}, is not UTF-8 but probably UTF-16, as PowerShell writes it; save it as UTF-8: "
            f"`iconv -f UTF-16 -t UTF-8`, or in PowerShell `... | Out-File -Encoding utf8 {path.name}`"
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number = content.count(b"\n", 0, error.start) + 1
        raise DatasetError(
            f"{where}, cannot be read: byte {content[error.start]:#04x} in line {number} is not UTF-8; save the list "
            "as text in UTF-8"
        ) from error
    lines = [Line(number, line.strip()) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
    for line in lines:
        if len(line.text) > _MAX_LINE or not is_plain(line.text.replace("\t", " ")):
            raise DatasetError(f"{where}: {line}, is not the path of a file; use a text file with one image per line")
    return lines


def without_repetitions(lines: Iterable[Line]) -> tuple[list[Line], list[str]]:
    """Returns the lines without those that repeat an earlier one, and which those are: `line 7 repeats line 3`."""
    first: dict[str, Line] = {}
    repeated = []
    for line in lines:
        known = first.setdefault(line.text, line)
        if known is not line:
            repeated.append(f"{line} repeats line {known.number}")
    return list(first.values()), repeated


def is_header(line: Line) -> bool:
    """Tells whether a line holds the names of columns in place of files."""
    words = line.text.lower().lstrip("#").replace(",", " ").replace(";", " ").replace('"', " ").split()
    return line.text.startswith("#") or (bool(words) and all(word in _HEADER_WORDS for word in words))


def header_advice(line: Line) -> str:
    """Returns what to do about a line with the names of columns."""
    return f"{line}, is a header or a comment, not a file; delete it"


def name_advice(line: Line, keys_by_path: Mapping[str, str], folder: Path) -> str | None:
    """Returns what to write in place of a line that names no image of a folder; None if that is not known.

    Args:
        line: what was read.
        keys_by_path: name of each image by its path below the folder, with `/`.
        folder: the folder of the images.
    """
    if is_header(line):
        return header_advice(line)
    names = dict(keys_by_path) | {key: key for key in keys_by_path.values()}
    parts = line.text.replace(",", " ").replace("\t", " ").split()
    if len(parts) == 2 and _repaired(parts[0], names, folder):
        if "." in parts[1] and not parts[1].lstrip("-").isdecimal():
            return (
                f"{line}, names two files; with `images` and `masks` a list names images only: write "
                f"`{_repaired(parts[0], names, folder)}`, or remove `images` and `masks` to list pairs"
            )
        return f"{line}, holds more than a name; write `{_repaired(parts[0], names, folder)}`"
    repaired = _repaired(line.text, names, folder)
    if repaired is None:
        return None
    if "\\" in line.text:
        return f"{line}, has backslashes, as Windows has them; write `{repaired}`"
    if line.text[:1] in "\"'":
        return f"{line}, is written in quotes; write `{repaired}`"
    return f"{line}, is not the path of an image below {folder}; write `{repaired}`"


def pair_advice(line: Line, root: Path) -> str | None:
    """Returns what to write in place of a line that should name an image and its mask; None if that is not known."""
    if is_header(line):
        return header_advice(line)
    if "\\" in line.text:
        repaired = line.text.replace("\\", "/")
        return f"{line}, has backslashes, as Windows has them; write `{repaired}`"
    if line.text[:1] in "\"'":
        return f"{line}, is written in quotes; write `{_unquoted(line.text)}`"
    return None


def _repaired(name: str, names: Mapping[str, str], folder: Path) -> str | None:
    """Returns the name that was meant: with slashes, without quotes, folders above, or another suffix."""
    plain = os.path.normpath(_unquoted(name).replace("\\", "/")).replace(os.sep, "/")
    parts = [part for part in PureWindowsPath(plain).parts if part not in ("/", "\\", "..")]
    candidates = ["/".join(parts[start:]) for start in range(len(parts))]
    lower = {path.lower(): path for path in names}
    for candidate in candidates:
        for text in (candidate, os.path.splitext(candidate)[0]):
            if text in names:
                return text
            if text.lower() in lower:
                return lower[text.lower()]
    return None


def _unquoted(text: str) -> str:
    return text.replace('"', "").replace("'", "")

"""Paths that users write into recipes and descriptions: checked and completed in one way, without touching the disk."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

from rapidseg.core.output_paths import MAX_NAME_BYTES, MAX_PATH_BYTES
from rapidseg.core.printable import is_plain, shortened


def check_input_path(path: str | os.PathLike[str]) -> Path:
    """Returns a path with the home folder in place of `~`; the folder of an unknown user, `~nobody/x`, stays text.

    Raises:
        ValueError: no file can have this path.
    """
    text = os.fspath(path)
    if "\0" in text:
        raise ValueError(f"'{shortened(text)}' contains a null character, which no path has; correct it")
    if not is_plain(text):
        raise ValueError(
            f"'{shortened(text)}' contains control characters; rename the file or folder, or correct the path"
        )
    names = os.fsencode(text).replace(b"\\", b"/").split(b"/") if os.name == "nt" else os.fsencode(text).split(b"/")
    if len(os.fsencode(text)) > MAX_PATH_BYTES or any(len(name) > MAX_NAME_BYTES for name in names):
        raise ValueError(
            f"'{shortened(text)}' is too long for a path: {MAX_PATH_BYTES} bytes are allowed, and {MAX_NAME_BYTES} for "
            "each name in it"
        )
    return Path(os.path.expanduser(text))


def absolute_path(path: str | os.PathLike[str]) -> Path:
    """Returns the absolute path; errors are those of `check_input_path`.

    Raises:
        ValueError: also if the current folder does not exist any more.
    """
    checked = check_input_path(path)
    try:
        return checked.absolute()
    except OSError as error:
        raise ValueError(f"the current folder cannot be read ({error.strerror}); change to another folder") from error


InputPath = Annotated[Path, AfterValidator(check_input_path)]
"""A path in a file that pydantic validates, relative to what the file says."""

AbsolutePath = Annotated[Path, AfterValidator(absolute_path)]
"""A path that is relative to the current folder where it is not absolute."""

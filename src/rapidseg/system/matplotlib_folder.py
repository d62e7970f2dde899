"""Keeps Matplotlib, which Lightning imports as well, from creating a folder for settings in the user's home folder."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from rapidseg.system.cache import cache_folder

_VARIABLE = "MPLCONFIGDIR"


def use_cache_for_matplotlib() -> bool:
    """Lets Matplotlib, and what this process starts, use a folder of the cache; to be called before its import.

    Users who have settings of their own keep them.

    Returns:
        Whether anything was changed.
    """
    if "matplotlib" in sys.modules or _VARIABLE in os.environ:
        return False
    try:
        home = Path.home()
    except RuntimeError:  # then Matplotlib uses a temporary folder
        return False
    settings = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    if (settings / "matplotlib").is_dir() or (home / ".matplotlib").is_dir():
        return False
    folder = cache_folder("matplotlib")
    if folder is None:
        return False
    os.environ[_VARIABLE] = str(folder)
    return True

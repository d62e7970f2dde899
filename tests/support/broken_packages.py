"""Processes in which packages are installed but broken: a module of the same name earlier on the path fails."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

# How packages fail while they are imported; each with a part of the message that must reach the user.
FAILURES = {
    "library": (
        'raise ImportError("libbroken.so.1: cannot open shared object file")',
        "ImportError: libbroken.so.1: cannot open shared object file",
    ),
    "system": ('raise OSError("libbroken.so.2: file too short")', "OSError: libbroken.so.2: file too short"),
    "versions": ("import sys; sys.no_such_part", "AttributeError: module 'sys' has no attribute 'no_such_part'"),
    "inner import": ("import no_such_inner_module", "ModuleNotFoundError: No module named 'no_such_inner_module'"),
    "own part": ("from {package} import _no_such_part", "ImportError: cannot import name '_no_such_part'"),
    "syntax": ("def broken(:", "SyntaxError: invalid syntax"),
}


def run_with_broken(
    package: str, failure: str, folder: Path, *arguments: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Runs Python in a folder, with a package that fails in one of the ways of `FAILURES`."""
    (folder / "broken").mkdir(exist_ok=True)
    (folder / "broken" / f"{package}.py").write_text(FAILURES[failure][0].replace("{package}", package))
    path = os.pathsep.join([str(folder / "broken"), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path, **environment},
        capture_output=True,
        text=True,
        check=False,
    )

"""The official scripts of Cityscapes, in processes of their own: they exit, print and warn as they like."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

NEEDS_SCRIPTS = pytest.mark.skipif(
    importlib.util.find_spec("cityscapesscripts") is None, reason="cityscapesscripts is not installed"
)


def run_official(*words: str, fails: bool = False, **variables: Path) -> str:
    """Runs Python with these words and environment variables; returns what it printed."""
    environment = {**os.environ, **{name: str(path) for name, path in variables.items()}}
    run = subprocess.run([sys.executable, *words], env=environment, capture_output=True, text=True, check=False)
    assert (run.returncode != 0) == fails, run.stdout + run.stderr
    return run.stdout

"""Runs the official scripts of Cityscapes in separate processes, because they exit, print and warn."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

NEEDS_SCRIPTS = pytest.mark.skipif(
    importlib.util.find_spec("cityscapesscripts") is None, reason="cityscapesscripts is not installed"
)

# NumPy 2.4 removed `in1d`, which version 2.3.0 of the scripts calls; `isin` replaces it.
_EVALUATE = """
import numpy
numpy.in1d = getattr(numpy, "in1d", numpy.isin)
from cityscapesscripts.evaluation import evalPixelLevelSemanticLabeling
evalPixelLevelSemanticLabeling.main()
"""


def run_official(*arguments: str, fails: bool = False, **variables: Path) -> str:
    """Runs Python with these arguments and environment variables; returns its standard output."""
    environment = {**os.environ, **{name: str(path) for name, path in variables.items()}}
    run = subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False)
    assert (run.returncode != 0) == fails, run.stdout + run.stderr
    return run.stdout


def evaluate_officially(root: Path, submission: Path) -> dict:
    """Scores predictions for `val` of the data set at `root`; returns the JSON that the script writes."""
    folders = {"CITYSCAPES_DATASET": root, "CITYSCAPES_RESULTS": submission, "CITYSCAPES_EXPORT_DIR": root}
    run_official("-c", _EVALUATE, **folders)
    return json.loads((root / "resultPixelLevelSemanticLabeling.json").read_text())

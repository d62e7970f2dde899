"""The built-in sample is the scene that its script draws."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np

from rapidseg.imaging import read_image
from rapidseg.scenes import draw_scene

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "draw_sample.py"


def test_the_sample_is_what_its_script_draws():
    spec = importlib.util.spec_from_file_location("draw_sample", SCRIPT)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    stored = read_image(script.SAMPLE).astype(int)
    drawn = draw_scene(script.SEED, script.SCENE, script.SIZE_HW).image.astype(int)
    assert stored.shape == drawn.shape
    # Other processors and versions of NumPy and OpenCV may round a value here and there to the other side.
    assert np.abs(stored - drawn).mean() < 0.5

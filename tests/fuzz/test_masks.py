"""Mask files of every kind, by the thousand: each becomes a label or is refused in one sentence; nothing else happens.

The same seed gives the same files. A file that breaks the rule stays in the temporary folder of the test.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rapidseg.core.errors import DatasetError, ImageError, RapidSegError
from rapidseg.data import Dataset, check_dataset
from rapidseg.data.layouts.pairing import Pair, SplitFiles
from rapidseg.data.layouts.yaml_schema import DatasetDescription
from tests.fuzz.mask_inputs import SIZE_HW, damaged_masks
from tests.support.data_folders import write_image
from tests.support.fuzzing import Tally, check_tally, run_inputs

COLORS = {"road": (128, 64, 128), "sky": (70, 130, 180), "car": (0, 0, 142)}
KINDS = ({}, {"mask_format": "colors"}, {"label_map": {0: 0, 1: 1, 2: 2, "other": "ignore"}})
MAX_PIXELS = 4_000_000
SUFFIXES = (".png", ".tif", ".bmp", ".webp", "")
DESCRIPTIONS = [
    DatasetDescription.model_validate({"classes": classes, "splits": {"train": {"list": "x"}}, **kind})
    for kind in KINDS
    for classes in (COLORS, list(COLORS))
    if not (classes is not COLORS and "mask_format" in kind)
]


class Layout:
    """A data set of one pair, as `check_dataset` takes it."""

    name = "fuzz"

    def __init__(self, pair: Pair, description: DatasetDescription) -> None:
        self.root, self.labels, self._pair = pair.image.parent, description.label_set(), pair

    def splits(self):
        return ("train",)

    def files(self, split):
        return SplitFiles((self._pair,))


def attempt_with(image: Path):
    """Returns what reads a mask, as training and scoring do, and checks it."""

    def attempt(number: int, path: Path) -> str:
        description = DESCRIPTIONS[number % len(DESCRIPTIONS)]
        pair = Pair("x", image, path, description.masks())
        dataset = Dataset([pair], description.label_set(), name="fuzz", split="train")
        try:
            sample = dataset[0]
        except (ImageError, DatasetError) as error:
            refusal: RapidSegError | None = error
        else:
            refusal = None
            assert sample.label.dtype == np.uint8
            assert sample.label.shape == SIZE_HW
            assert set(np.unique(sample.label).tolist()) <= {0, 1, 2, 255}
        if number % 3 == 0:
            report = check_dataset(Layout(pair, description), workers=1)
            errors = [finding.kind for finding in report.findings if finding.severity == "error"]
            # Only a whole split can be without a label.
            assert bool(set(errors) - {"nothing_labeled"}) == (refusal is not None), (errors, refusal)
        if refusal is not None:
            raise refusal
        return "accepted"

    return attempt


@pytest.fixture(autouse=True)
def small_limit(monkeypatch):
    """Large sizes are refused early, so that a mask whose header claims one does not hide memory that grows."""
    monkeypatch.setenv("RAPIDSEG_MAX_PIXELS", str(MAX_PIXELS))


def run(folder: Path, seed: int, count: int) -> Tally:
    """Reads `count` mask files one after the other."""
    (folder / "files").mkdir()
    tally = run_inputs(
        damaged_masks(seed, count),
        attempt_with(write_image(folder / "image.png", SIZE_HW)),
        folder=folder / "files",
        names=lambda number: f"mask{SUFFIXES[number % len(SUFFIXES)]}",
        label=f"{seed}-",
    )
    check_tally(tally)
    return tally


def test_masks_become_labels_or_are_refused(tmp_path):
    run(tmp_path, seed=1, count=700)


@pytest.mark.fuzz
@pytest.mark.parametrize("seed", range(2))
def test_many_masks_become_labels_or_are_refused(seed, tmp_path):
    print(run(tmp_path, seed=100 + seed, count=10_000).to_json())  # noqa: T201

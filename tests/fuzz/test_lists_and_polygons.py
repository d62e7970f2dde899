"""Lists of files, polygon files and descriptions of data sets, by the thousand: read, or refused in one sentence.

The same seed gives the same files. A file that breaks the rule stays in the temporary folder of the test.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rapidseg.core.errors import SplitError
from rapidseg.data import check_dataset, open_dataset, open_layout
from rapidseg.data.cityscapes_polygons import MASK_KINDS, draw_masks, read_annotation
from tests.fuzz.description_inputs import damaged_descriptions, damaged_lists, damaged_polygons
from tests.support.data_folders import random_label, write_image, write_mask
from tests.support.fuzzing import Tally, check_message, check_tally, run_inputs

NAMES = "classes: [road, sky, car]\nsplits: {train: {images: images, masks: masks, list: list.txt}}"
PAIRS = "classes: [road, sky, car]\nsplits: {train: {list: list.txt}}"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A data set of three pairs with lists, as the current folder, so that paths in messages are short."""
    monkeypatch.chdir(tmp_path)
    for index in range(3):
        write_image(tmp_path / f"images/{index}.png", seed=index)
        write_mask(tmp_path / f"masks/{index}.png", random_label(3, index))
    (tmp_path / "names.txt").write_text("0\n2\n")
    (tmp_path / "pairs.txt").write_text("images/0.png masks/0.png\n")
    (tmp_path / "names.yaml").write_text(NAMES)
    (tmp_path / "pairs.yaml").write_text(PAIRS)
    return Path()


def open_description(number: int, path: Path) -> str:
    """Opens a description and reads the first pair of its split."""
    try:
        dataset = open_dataset(path, split="train")
    except SplitError as error:
        check_message(error, path)
        return "refused, another split"
    label = dataset[0].label
    assert set(np.unique(label).tolist()) <= {*range(dataset.labels.num_classes), dataset.labels.ignore_index}
    return "accepted"


def open_list(number: int, path: Path) -> str:
    """Opens a split with a list, as names and as pairs, and checks it."""
    description = path.with_name("names.yaml" if number % 2 else "pairs.yaml")
    if number % 5 == 0:
        for finding in check_dataset(open_layout(description), workers=1).findings:
            assert finding.message.isprintable()
            assert finding.advice.isprintable(), finding.advice
    dataset = open_dataset(description)
    images = [dataset.image_path(index) for index in range(len(dataset))]
    assert len(set(images)) == len(images)
    assert dataset[0].label.shape == (12, 20)
    return "accepted"


def draw(number: int, path: Path) -> str:
    """Draws all masks of a polygon file."""
    annotation = read_annotation(path)
    if annotation.width * annotation.height > 1 << 22:
        return "accepted, too large to draw by the thousand"
    for kind, mask in draw_masks(annotation, path).items():
        assert mask.shape == (annotation.height, annotation.width)
        assert mask.dtype == MASK_KINDS[kind]
    return "accepted"


RUNS: dict[str, tuple[Callable, Callable, str]] = {
    "descriptions": (damaged_descriptions, open_description, "data.yaml"),
    "lists": (damaged_lists, open_list, "list.txt"),
    "polygons": (damaged_polygons, draw, "x_gtFine_polygons.json"),
}


def run(kind: str, folder: Path, seed: int, count: int) -> Tally:
    """Reads `count` files of a kind one after the other."""
    inputs, attempt, name = RUNS[kind]
    tally = run_inputs(inputs(seed, count), attempt, folder=folder, names=lambda _: name, label=f"{kind}-{seed}-")
    check_tally(tally)
    return tally


@pytest.mark.parametrize("kind", RUNS)
def test_files_are_read_or_refused(kind, folder):
    run(kind, folder, seed=1, count=300)


@pytest.mark.fuzz
@pytest.mark.parametrize("kind", RUNS)
def test_many_files_are_read_or_refused(kind, folder):
    print(kind, run(kind, folder, seed=100, count=5000).to_json())  # noqa: T201

"""The labels and masks of Cityscapes are those of its official scripts."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rapidseg.core.cityscapes_labels import CITYSCAPES_LABELS
from rapidseg.core.labels import CITYSCAPES
from rapidseg.data.cityscapes_polygons import MASK_KINDS
from rapidseg.data.cityscapes_preparation import find_polygon_files, mask_path, prepare_cityscapes
from tests.support.official_scripts import NEEDS_SCRIPTS, run_official
from tests.support.polygon_files import blob, polygon, street, write_polygons

pytestmark = NEEDS_SCRIPTS

# The scripts that draw the ids themselves take one file at a time.
DRAW_IDS = """
import sys
from cityscapesscripts.preparation.json2instanceImg import json2instanceImg
from cityscapesscripts.preparation.json2labelImg import json2labelImg
for path in sys.argv[1:]:
    json2labelImg(path, path.replace("_polygons.json", "_labelIds.png"), "ids")
    json2instanceImg(path, path.replace("_polygons.json", "_instanceIds.png"), "ids")
"""
LIST_LABELS = """
import json
from cityscapesscripts.helpers.labels import labels
print(json.dumps([label._asdict() for label in labels]))
"""


def read(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.array(image)


def test_the_table_of_labels_is_the_official_one():
    theirs = json.loads(run_official("-c", LIST_LABELS))
    ours = [
        {
            "name": label.name,
            "id": label.id,
            "trainId": label.train_id,
            "category": label.category,
            "categoryId": ["void", *CITYSCAPES.category_names].index(label.category),
            "hasInstances": label.has_instances,
            "ignoreInEval": not label.is_scored,
            "color": list(label.color),
        }
        for label in CITYSCAPES_LABELS
    ]
    assert ours == theirs


def write_everything(root: Path) -> None:
    for folder, splits in (("gtFine", ("train", "val", "test")), ("gtCoarse", ("train", "train_extra"))):
        for seed, split in enumerate(splits):
            name = f"ulm/ulm_{seed:06}_000019"
            write_polygons(root, street(seed + len(folder)), name, folder=folder, split=split)
    write_polygons(root, [], "bonn/bonn_000000_000019")
    rng = np.random.default_rng(3)
    crowd = [blob(rng, "car", (333, 500)) for _ in range(1005)]  # past 999 the numbers run into the next label's
    write_polygons(root, crowd, "bonn/bonn_000001_000019", size_hw=(333, 500))


def test_every_mask_is_the_official_one_pixel_for_pixel(tmp_path):
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    write_everything(ours)
    write_everything(theirs)
    for script in ("createTrainIdLabelImgs", "createTrainIdInstanceImgs"):
        run_official("-m", f"cityscapesscripts.preparation.{script}", CITYSCAPES_DATASET=theirs)
    run_official("-c", DRAW_IDS, *map(str, find_polygon_files(theirs)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert prepare_cityscapes(ours).num_drawn == 7 * 4
    seen = set()
    for path in find_polygon_files(ours):
        for kind, dtype in MASK_KINDS.items():
            mask = mask_path(path, kind)
            assert read(mask).dtype == dtype
            np.testing.assert_array_equal(read(mask), read(theirs / mask.relative_to(ours)), err_msg=str(mask))
        seen |= set(np.unique(read(mask_path(path, "labelIds"))).tolist())
    assert seen == set(range(34))  # or the test would not say much
    drawn = {path.relative_to(ours) for path in ours.rglob("*") if path.is_file()}
    assert drawn == {path.relative_to(theirs) for path in theirs.rglob("*") if path.is_file()}


@pytest.mark.parametrize("label", ["tree", "Car", "groupcar", ""])
def test_a_label_at_which_the_official_scripts_stop_is_broken(label, tmp_path):
    path = write_polygons(tmp_path, [polygon(label, [[0, 0], [9, 9]])])
    run_official("-c", DRAW_IDS, str(path), fails=True)
    assert len(prepare_cityscapes(tmp_path).broken) == 1


@pytest.mark.parametrize("corners", [[], [[3, 3]], [[3], [4]], [["3", "3"], [4, 4]], [[None, 3], [4, 4]], [3, 4]])
def test_a_polygon_at_which_the_official_scripts_stop_is_broken(corners, tmp_path):
    path = write_polygons(tmp_path, [polygon("car", corners)])
    run_official("-c", DRAW_IDS, str(path), fails=True)
    assert len(prepare_cityscapes(tmp_path).broken) == 1

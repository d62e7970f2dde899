"""Masks of Cityscapes, drawn from polygon files: what is kept, what is drawn again, and what is broken."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest

from rapidseg.core.errors import DatasetError, InputError
from rapidseg.data.cityscapes_polygons import MASK_KINDS, draw_masks, read_annotation
from rapidseg.data.cityscapes_preparation import find_polygon_files, mask_path, prepare_cityscapes
from rapidseg.imaging import read_mask
from tests.support.data_folders import cut
from tests.support.polygon_files import box, polygon, street, write_polygons


def masks_of(tmp_path, objects, size_hw=(4, 6)):
    path = write_polygons(tmp_path, objects, size_hw=size_hw)
    return draw_masks(read_annotation(path), path)


def test_values_of_things_groups_and_surroundings(tmp_path):
    objects = [
        box("building", 0, 0, 5, 0),
        box("car", 0, 1, 1, 1),
        box("car", 2, 1, 3, 1),
        box("cargroup", 4, 1, 5, 1),
        box("caravan", 0, 2, 5, 2),
        box("polegroup", 0, 3, 2, 3),
    ]
    masks = masks_of(tmp_path, objects)
    assert {kind: mask.dtype for kind, mask in masks.items()} == MASK_KINDS
    assert masks["labelIds"][:, ::2].tolist() == [[11, 11, 11], [26, 26, 26], [29, 29, 29], [18, 18, 0]]
    assert masks["labelTrainIds"][:, ::2].tolist() == [[2, 2, 2], [13, 13, 13], [255, 255, 255], [255, 255, 255]]
    assert masks["instanceIds"][:, ::2].tolist() == [[11] * 3, [26000, 26001, 26], [29000] * 3, [18, 18, 0]]
    assert masks["instanceTrainIds"][:, ::2].tolist() == [[2] * 3, [13000, 13001, 13], [255] * 3, [255] * 3]


def test_later_objects_cover_earlier_ones(tmp_path):
    masks = masks_of(tmp_path, [box("fence", 0, 0, 5, 3), box("sky", 1, 1, 2, 2), box("road", 0, 0, 5, 3, deleted=1)])
    assert masks["labelIds"].tolist() == [[13] * 6, [13, 23, 23, 13, 13, 13], [13, 23, 23, 13, 13, 13], [13] * 6]


BROKEN = {
    "label": ([box("trafic sign", 0, 0, 1, 1)], r"has the label 'trafic sign', .* \(did you mean 'traffic sign'\?\)"),
    "corner": (
        [polygon("car", [[1, 1]])],
        r"object 0 \(car\) has too few corners \(1\); a polygon needs at least 2: correct",
    ),
    "number": ([polygon("car", [[1, 1], [2, None]])], r"objects\.0\.polygon\.1\.1 should be a number, not None"),
    "pair": ([polygon("car", [[1, 1], [2]])], r"objects\.0\.polygon\.1 should have at least 2 items, not \[2\]"),
    "infinite": ([polygon("car", [[1, 1], [float("inf"), 2]])], r"polygon\.1\.0 should be a finite number, not inf"),
    "key": ([{"label": "car"}], r"the key 'objects\.0\.polygon' is missing; restore the file"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_object_is_named(kind, tmp_path):
    objects, message = BROKEN[kind]
    with pytest.raises(DatasetError, match=rf"ulm_000000_000019_gtFine_polygons\.json: .*{message}"):
        masks_of(tmp_path, objects)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "EOF while parsing"),
        ("[]", r"should be keys with values, not \[\]"),
        ('{"a": "\xff"}', "Invalid JSON: invalid unicode"),
    ],
)
def test_a_file_that_is_not_an_annotation_is_named(content, message, tmp_path):
    path = tmp_path / "a_gtFine_polygons.json"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(DatasetError, match=rf"a_gtFine_polygons\.json: .*{message}"):
        read_annotation(path)


@pytest.mark.parametrize("size_hw", [(0, 6), (4, 40000)])
def test_an_impossible_size_is_named(size_hw, tmp_path):
    with pytest.raises(DatasetError, match=r"img(Height|Width) should be (greater|less) than or equal to"):
        masks_of(tmp_path, [], size_hw)


def write_three(root):
    return [write_polygons(root, street(seed), f"ulm/ulm_{seed:06}_000019") for seed in range(3)]


def times_of(root):
    return {path: path.stat().st_mtime_ns for path in root.rglob("[!.]*.png")}


def test_masks_that_are_there_are_kept_and_the_rest_is_drawn(tmp_path):
    first, second, third = write_three(tmp_path)
    calls = []
    prepared = prepare_cityscapes(tmp_path, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert prepared.to_dict() == {"root": str(tmp_path), "polygon_files": 3, "drawn": 12, "kept": 0, "broken": []}
    before = times_of(tmp_path)
    whole = mask_path(third, "instanceIds").read_bytes()
    cut(mask_path(third, "instanceIds"))  # as an interrupted unzip leaves it
    mask_path(second, "labelIds").unlink()
    mask_path(first, "labelTrainIds").write_bytes(b"")
    prepared = prepare_cityscapes(tmp_path, progress=lambda done, total: None)
    assert (prepared.num_drawn, prepared.num_kept) == (3, 9)
    after = times_of(tmp_path)
    assert sum(before[path] == after[path] for path in before) == 9
    assert mask_path(third, "instanceIds").read_bytes() == whole
    assert prepare_cityscapes(tmp_path, ["labelIds"], overwrite=True).num_drawn == 3


def test_processes_draw_what_one_draws(tmp_path):
    for folder, workers in (("one", 1), ("two", 2)):
        write_three(tmp_path / folder)
        assert prepare_cityscapes(tmp_path / folder, ["labelIds"], workers=workers).num_drawn == 3
    for path in (tmp_path / "one").rglob("*.png"):
        other = tmp_path / "two" / path.relative_to(tmp_path / "one")
        np.testing.assert_array_equal(read_mask(path), read_mask(other))


def test_a_broken_file_is_named_and_the_others_are_drawn(tmp_path):
    first, second, _ = write_three(tmp_path)
    cut(second)
    first.with_name(f"._{first.name}").write_bytes(b"finder")
    prepared = prepare_cityscapes(tmp_path)
    assert [file.path for file in prepared.broken] == [second]
    assert prepared.broken[0].reason.startswith("Invalid JSON: EOF while parsing")
    assert (prepared.num_annotations, prepared.num_drawn) == (3, 8)
    write_three(tmp_path)  # repaired
    assert prepare_cityscapes(tmp_path).num_drawn == 4


def test_a_run_that_is_killed_leaves_whole_masks_and_goes_on(tmp_path):
    for seed in range(24):
        write_polygons(tmp_path, street(seed, (1024, 2048)), f"ulm/ulm_{seed:06}_000019", size_hw=(1024, 2048))
    code = f"from rapidseg.data.cityscapes_preparation import prepare_cityscapes; prepare_cityscapes({str(tmp_path)!r})"
    process = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "OMP_NUM_THREADS": "1"})
    try:
        until = time.monotonic() + 300  # reached where a machine is busy with other things only
        while len(times_of(tmp_path)) < 6 and process.poll() is None and time.monotonic() < until:
            time.sleep(0.01)
    finally:
        process.kill()
        process.wait()
    masks = list(times_of(tmp_path))
    assert 6 <= len(masks) < 96
    for path in masks:
        assert read_mask(path).shape == (1024, 2048)
    prepared = prepare_cityscapes(tmp_path, ["labelIds"])
    assert prepared.num_kept == sum(path.name.endswith("_labelIds.png") for path in masks)
    assert prepared.num_drawn + prepared.num_kept == 24


def test_a_folder_without_polygons_is_explained(tmp_path):
    with pytest.raises(
        DatasetError, match=r"no Cityscapes data set at .*: looked for gtFine or gtCoarse, but it is empty"
    ):
        find_polygon_files(tmp_path)
    (tmp_path / "cs/gtFine/train").mkdir(parents=True)
    with pytest.raises(DatasetError, match=r"did you mean .*/cs\?"):
        find_polygon_files(tmp_path)
    with pytest.raises(DatasetError, match=r"no polygon files in .*\n.*\n.*\nunpack gtFine_trainvaltest\.zip or gtCo"):
        find_polygon_files(tmp_path / "cs")


def test_wrong_arguments_are_explained(tmp_path):
    write_three(tmp_path)
    with pytest.raises(
        InputError, match=r"unknown kind of mask 'labelids'; choose from labelIds, .* \(did you mean 'labelIds'\?\)"
    ):
        prepare_cityscapes(tmp_path, ["labelids"])
    with pytest.raises(
        InputError, match=r"no kinds of mask given; name at least one of labelIds, labelTrainIds, instanceIds"
    ):
        prepare_cityscapes(tmp_path, [])
    with pytest.raises(InputError, match=r"workers is 0, but must be at least 1"):
        prepare_cityscapes(tmp_path, workers=0)


def test_corners_may_have_more_than_two_numbers_and_deleted_objects_anything(tmp_path):
    path = write_polygons(tmp_path, [polygon("road", [[0, 0, 7], [9, 0, 7], [9, 9, 7]]), polygon("x", [], deleted=1)])
    content = json.loads(path.read_text())
    content["imgWidth"] = "192"  # the official scripts take text for a number here
    path.write_text(json.dumps(content))
    assert draw_masks(read_annotation(path), path)["labelIds"][0, 5] == 7

"""What `check_dataset` finds in data sets of real files, sound and broken."""

from __future__ import annotations

import json

import numpy as np
import pytest

from rapidseg.data import check_dataset, open_layout
from tests.support.data_folders import (
    SIZE_HW,
    cut,
    random_label,
    write_camvid,
    write_cityscapes,
    write_image,
    write_mask,
    write_yaml_dataset,
)

IDS = "classes: [road, car, sky]\nignore_index: 9"


def check(path, root=None, splits=None):
    return check_dataset(open_layout(path, root), splits, workers=2)


def only(report):
    (finding,) = report.findings
    return finding


def test_a_sound_data_set_has_no_findings(tmp_path):
    seen = []
    layout = open_layout("camvid", write_camvid(tmp_path))
    report = check_dataset(layout, workers=2, progress=lambda *step: seen.append(step))
    assert report.ok
    assert report.findings == ()
    assert seen == [(split, done, 3) for split in ("train", "val") for done in range(4)]


def test_pixels_and_images_of_each_class_are_counted(tmp_path):
    masks = {"a": np.full(SIZE_HW, 0, np.uint8), "b": random_label(3)}
    masks["b"][-1] = 9
    (split,) = check(write_yaml_dataset(tmp_path, IDS, masks)).splits
    expected = np.bincount(np.stack(list(masks.values())).ravel(), minlength=10)
    assert split.class_pixels == tuple(expected[:3])
    assert split.class_images == (2, 1, 1)
    assert split.ignored_pixels == 20
    assert split.ignored_share == pytest.approx(20 / 480)
    assert sum(split.class_share(index) for index in range(3)) == pytest.approx(1)


def test_missing_files_on_both_sides(tmp_path):
    path = write_yaml_dataset(tmp_path, IDS, {"a": random_label(3), "b": random_label(3), "c": random_label(3)})
    (tmp_path / "masks/train/b.png").unlink()
    (tmp_path / "images/train/c.png").unlink()
    error, warning = check(path).findings
    assert (error.kind, error.severity, error.files[0].path) == ("missing", "error", tmp_path / "masks/train/b.png")
    assert error.files[0].detail == f"mask of {tmp_path}/images/train/b.png"
    assert (warning.kind, warning.severity) == ("mask_without_image", "warning")
    assert warning.files[0].path == tmp_path / "masks/train/c.png"


def test_cut_images_and_masks(tmp_path):
    path = write_yaml_dataset(tmp_path, IDS, {name: random_label(3) for name in "abcd"})
    cut(tmp_path / "images/train/a.png")
    cut(tmp_path / "masks/train/b.png")
    (tmp_path / "masks/train/c.png").write_text("no picture")
    report = check(path)
    assert not report.ok
    finding = only(report)
    assert (finding.kind, finding.severity) == ("unreadable", "error")
    assert [file.path.relative_to(tmp_path).as_posix() for file in finding.files] == [
        "images/train/a.png",
        "masks/train/b.png",
        "masks/train/c.png",
    ]
    assert "damaged or cut off" in finding.files[0].detail
    assert report.splits[0].num_read == 2


def test_colored_masks_given_as_ids(tmp_path):
    mask = np.array([(128, 0, 0), (0, 128, 0), (0, 0, 128)], np.uint8)[random_label(3)]
    finding = only(check(write_yaml_dataset(tmp_path, IDS, {"a": mask})))
    assert finding.kind == "unreadable"
    assert "give" not in finding.files[0].detail.split(";")[0]
    assert finding.files[0].detail.endswith(
        "set `mask_format: colors`, and a color for each class, in a YAML file that describes the data (docs/data.md)"
    )


def test_other_sizes(tmp_path):
    path = write_yaml_dataset(tmp_path, IDS, {name: random_label(3) for name in "abc"})
    write_image(tmp_path / "images/train/b.png", (20, 12))
    write_image(tmp_path / "images/train/c.png", (24, 40))
    swapped, scaled = check(path).findings
    assert (swapped.kind, swapped.files[0].detail) == ("size", "12x20 pixels, but its image has 20x12")
    assert "EXIF rotation" in swapped.advice
    assert (scaled.kind, scaled.files[0].detail) == ("size", "12x20 pixels, but its image has 24x40")
    assert "nearest neighbor" in scaled.advice


def test_values_outside_the_classes(tmp_path):
    bad = random_label(3)
    bad[0, :6] = [3, 7, 7, 4, 4, 4]
    finding = only(check(write_yaml_dataset(tmp_path, IDS, {"a": random_label(3), "b": bad})))
    assert (finding.kind, finding.severity) == ("value", "error")
    assert finding.message == "masks with values outside the classes (ids 0 to 2 are classes, 9 is ignored)"
    assert finding.files[0].detail == "values 4 (3 pixels), 7 (2 pixels), 3 (1 pixel)"
    assert finding.to_dict()["files"][0]["values"] == {"4": 3, "7": 2, "3": 1}
    assert finding.to_dict()["files"][0]["pixels"] == 6


def test_255_while_another_value_is_ignored(tmp_path):
    bad = np.where(random_label(3) == 1, 255, random_label(3)).astype(np.uint8)
    finding = only(check(write_yaml_dataset(tmp_path, IDS, {"a": random_label(3), "b": bad})))
    assert finding.advice.startswith("255 usually means unlabeled, but ignore_index is 9; write `ignore_index: 255`")


def test_off_by_one(tmp_path):
    masks = {"a": random_label(3, 0) + 1, "b": random_label(3, 1) + 1}
    value, empty = check(write_yaml_dataset(tmp_path, IDS, masks)).findings
    assert value.advice.startswith("ids run from 1 to 3 and 0 never occurs, so they are off by one")
    assert empty.message == "no pixel of road, so it cannot be learned"


def test_one_id_more_than_classes(tmp_path):
    finding = only(check(write_yaml_dataset(tmp_path, IDS, {"a": random_label(4)})))
    assert finding.advice.startswith("ids run from 0 to 3, one more than the classes; if 0 means unlabeled")


def test_off_by_one_that_ends_in_the_ignored_value(tmp_path):
    path = write_yaml_dataset(tmp_path, "classes: [a, b, c]\nignore_index: 3", {"a": random_label(3) + 1})
    finding = only(check(path))
    assert finding.kind == "empty_class"
    assert finding.advice.startswith("the ids may start at 1: ids run from 1 to 3 and 0 never occurs")


def test_binary_masks_of_0_and_255(tmp_path):
    path = write_yaml_dataset(tmp_path, "classes: [road, car]", {"a": random_label(2) * np.uint8(255)})
    finding = only(check(path))
    assert (finding.kind, finding.severity) == ("empty_class", "warning")
    assert finding.advice.startswith("if 255 means 'car', write `label_map: {0: road, 255: car}`")


def test_label_ids_in_place_of_train_ids(tmp_path):
    write_cityscapes(tmp_path, random_label(34), "labelTrainIds")
    finding = only(check("cityscapes", tmp_path))
    assert "label ids of Cityscapes instead of train ids" in finding.advice


def test_train_ids_in_place_of_label_ids(tmp_path):
    write_cityscapes(tmp_path, random_label(19), "labelIds")
    finding = only(check("cityscapes", tmp_path))
    assert finding.kind == "empty_class"
    assert "these files probably contain train ids" in finding.advice


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ("train", "no pixel of car, sky, so they cannot be learned"),
        ("val", "no pixel of car, sky, so they get no score"),
    ],
)
def test_empty_classes_are_warnings(tmp_path, split, message):
    path = write_yaml_dataset(tmp_path, IDS, {"a": np.zeros(SIZE_HW, np.uint8)}, split)
    report = check(path)
    assert report.ok
    assert (only(report).severity, only(report).message) == ("warning", message)


def test_masks_that_are_ignored_as_a_whole(tmp_path):
    path = write_yaml_dataset(tmp_path, IDS, {"a": random_label(3), "b": np.full(SIZE_HW, 9, np.uint8)})
    finding = only(check(path))
    assert (finding.kind, finding.severity) == ("all_ignored", "warning")
    assert [file.path.name for file in finding.files] == ["b.png"]


@pytest.mark.parametrize(("split", "severity"), [("train", "error"), ("test", "warning")])
def test_a_split_without_a_labeled_pixel(tmp_path, split, severity):
    path = write_yaml_dataset(tmp_path, IDS, {"a": np.full(SIZE_HW, 9, np.uint8)}, split)
    assert (only(check(path)).kind, only(check(path)).severity) == ("nothing_labeled", severity)


def test_an_image_in_two_splits(tmp_path):
    path = write_yaml_dataset(tmp_path, IDS, {"a": random_label(3)})
    path.write_text(path.read_text() + "  val: {images: images/train, masks: masks/train}\n")
    finding = only(check(path))
    assert (finding.kind, finding.severity, finding.split) == ("shared_image", "warning", "val")
    assert finding.files[0].detail == "in train and val"


def test_chosen_splits_only(tmp_path):
    root = write_camvid(tmp_path)
    cut(root / "val/001.png")
    assert check("camvid", root, ["train"]).ok
    assert not check("camvid", root, ["val"]).ok


def test_the_report_is_json(tmp_path):
    path = write_yaml_dataset(tmp_path, IDS, {f"{index:02}": random_label(5) for index in range(30)})
    document = json.loads(json.dumps(check(path).to_dict(), allow_nan=False))
    assert document["ok"] is False
    assert document["splits"]["train"]["pairs"] == 30
    assert document["splits"]["train"]["classes"][1]["name"] == "car"
    assert document["findings"][0]["count"] == len(document["findings"][0]["files"]) == 30


def test_an_error_in_the_progress_stops_the_reading(tmp_path):
    layout = open_layout("camvid", write_camvid(tmp_path, ("train",), count=20))

    def stop(split, done, total):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check_dataset(layout, workers=2, progress=stop)


def test_color_masks_with_interpolated_edges(tmp_path):
    colors = "classes: {road: [128, 64, 128], car: [0, 0, 142]}\nmask_format: colors"
    edges = np.linspace((128, 64, 128), (0, 0, 142), 240).reshape(*SIZE_HW, 3).astype(np.uint8)
    path = write_yaml_dataset(tmp_path, colors, {"a": edges})
    finding = only(check(path))
    assert "resized with interpolation" in finding.advice
    assert len(finding.to_dict()["files"][0]["values"]) <= 64
    write_mask(tmp_path / "masks/train/a.png", np.array([(128, 64, 128), (0, 0, 142)], np.uint8)[random_label(2)])
    assert check(path).ok

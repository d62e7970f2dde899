"""A run checks its data before it writes anything: errors stop it, warnings are printed and kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rapidseg.core.errors import DatasetError
from rapidseg.core.progress import NullProgress
from rapidseg.data import open_layout
from rapidseg.data.checks import checking
from rapidseg.data.checks.checking import Limits, check_dataset
from rapidseg.workflows import data as workflow
from rapidseg.workflows.data import check_training_data
from rapidseg.workflows.train import train
from tests.support.data_folders import SIZE_HW, random_label, write_camvid, write_image, write_mask, write_yaml_dataset

PLAIN = "classes: [background, car]"


class Recorder(NullProgress):
    def __init__(self) -> None:
        self.messages: list[str] = []

    def message(self, text: str) -> None:
        self.messages.append(text)


def test_errors_stop_a_run_before_it_writes_anything(tmp_path):
    mask = random_label(2)
    mask[0, 0] = 7
    path = write_yaml_dataset(tmp_path, PLAIN, {"a": random_label(2), "b": mask})
    for dry_run in (False, True):
        with pytest.raises(DatasetError) as caught:
            train(path, output=tmp_path / "run", iterations=1, device="cpu", dry_run=dry_run)
        assert "masks with values outside the classes (ids 0, 1 are classes, 255 is ignored)" in str(caught.value)
        assert f"`rapidseg data check {path}` shows everything" in str(caught.value)
        assert not (tmp_path / "run").exists()


def test_a_class_without_a_pixel_is_a_warning_of_a_dry_run(tmp_path):
    path = write_yaml_dataset(tmp_path, PLAIN, {name: random_label(2) * np.uint8(255) for name in "ab"})
    recorder = Recorder()
    small = {"batch_size": 2, "data.workers": 0, "model.options.width": 0.25, "data.augmentation.crop_size": [64, 64]}
    report = train(path, overrides=small, dry_run=True, device="cpu", progress=recorder)
    (warning,) = (message for message in report.warnings if "no pixel of" in message)
    assert f"warning: {warning}" in recorder.messages
    assert warning.startswith("data train: no pixel of car, which therefore cannot be learned; if 255 means")
    assert "write `label_map: {0: background, 255: car}`" in warning


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda root: write_mask(root / "valannot/001.png", np.full(SIZE_HW, 99, np.uint8)), "value 99 at 240 pixels"),
        (lambda root: write_mask(root / "trainannot/001.png", random_label(12, size_hw=(5, 5))), "differs from their"),
        (lambda root: (root / "train/001.png").write_text("x"), "unreadable files"),
        (lambda root: (root / "valannot/002.png").unlink(), "1 file is missing"),
    ],
)
def test_every_error_of_a_split_that_is_used_stops_a_run(tmp_path, spoil, message):
    root = write_camvid(tmp_path)
    parts = [("camvid", root, "train")], [("camvid", root, "val")]
    assert check_training_data(*parts) == ()
    spoil(root)
    with pytest.raises(DatasetError, match=message):
        check_training_data(*parts)


def test_splits_that_are_not_used_are_not_read(tmp_path):
    root = write_camvid(tmp_path, ("train", "val", "test"))
    (root / "test/001.png").write_text("x")
    assert check_training_data([("camvid", root, "train")], [("camvid", root, "val")]) == ()


def test_a_class_needs_pixels_in_one_of_the_data_sets(tmp_path):
    paths = []
    for name, value in (("first", 0), ("second", 1)):
        text = f"name: {name}\n{PLAIN}"
        paths.append(write_yaml_dataset(tmp_path / name, text, {"a": np.full(SIZE_HW, value, np.uint8)}))
        write_image(tmp_path / name / "images/train/a.png", seed=value)
    assert check_training_data([(path, None, "train") for path in paths]) == ()
    (warning,) = check_training_data([(paths[0], None, "train")])
    assert "first train: no pixel of car, which therefore cannot be learned" in warning


def test_an_image_of_another_data_set_is_found(tmp_path):
    paths = [
        write_yaml_dataset(tmp_path / name, f"name: {name}\n{PLAIN}", {"a": random_label(2)}, split)
        for name, split in (("first", "train"), ("second", "val"))
    ]
    (warning,) = check_training_data([(paths[0], None, "train")], [(paths[1], None, "val")])
    assert warning.startswith("second val: images that are also in first train: ")


def test_large_splits_are_sampled(tmp_path, monkeypatch):
    root = write_camvid(tmp_path, ("train",), count=40)
    read = []
    original = checking.read_image
    monkeypatch.setattr(checking, "read_image", lambda path: (read.append(Path(path).name), original(path))[1])
    limits = Limits(pairs=10, seconds=60)
    report = check_dataset(open_layout("camvid", root), limits=limits, workers=1)
    assert len(read) == len(set(read)) == 10
    assert report.splits[0].num_pairs == 40
    first, read[:] = list(read), []
    check_dataset(open_layout("camvid", root), limits=limits, workers=1)
    assert read == first
    read.clear()
    check_dataset(open_layout("camvid", root), limits=Limits(pairs=40, seconds=0), workers=1)
    assert 1 <= len(read) <= 4


def test_the_bounds_of_a_run_hold(tmp_path, monkeypatch):
    monkeypatch.setattr(workflow, "_MAX_PAIRS", 5)
    root = write_camvid(tmp_path, ("train",), count=30)
    seen = []

    class Watch(NullProgress):
        def update(self, task, done, total, *, unit="items"):
            seen.append((task, total))

    check_training_data([("camvid", root, "train")], progress=Watch())
    assert set(seen) == {("checking train", 5)}


def test_a_sample_says_that_it_is_one(tmp_path):
    masks = {f"{index:02}": np.zeros(SIZE_HW, np.uint8) for index in range(20)}
    path = write_yaml_dataset(tmp_path, PLAIN, masks)
    report = check_dataset(open_layout(path), limits=Limits(pairs=8, seconds=60))
    assert report.findings[0].message == "no pixel of car in the 8 pairs that were read"

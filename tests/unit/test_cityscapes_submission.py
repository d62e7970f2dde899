"""Predictions as PNGs of label ids, for the benchmark of Cityscapes."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from rapidseg.core.errors import InputError
from rapidseg.core.labels import CAMVID, CITYSCAPES
from rapidseg.data.layouts.cityscapes import LABEL_IDS
from rapidseg.evaluation import ImageScore, SubmissionWriter
from rapidseg.imaging import read_mask
from tests.support.data_folders import write_image


@dataclass
class Labeled:
    name: str
    image: np.ndarray = field(default_factory=lambda: np.zeros((1, 19, 3), np.uint8))
    label: np.ndarray = field(default_factory=lambda: np.zeros((1, 19), np.uint8))


SCORE = ImageScore("image", 1.0, 1.0)


def test_train_ids_become_label_ids_in_files_that_the_benchmark_finds(tmp_path):
    class_map = np.arange(19, dtype=np.uint8)[None]
    for _ in range(2):  # a second run replaces the files
        writer = SubmissionWriter(tmp_path / "submission", CITYSCAPES)
        assert writer.folder.is_dir()
        writer(Labeled("ulm/ulm_000000_000019"), class_map, SCORE)
        writer(Labeled("berlin_000001_000019"), class_map, SCORE)
        assert writer.num_written == 2
    files = sorted(tmp_path.rglob("*.png"))
    assert [file.name for file in files] == [
        "berlin_000001_000019_pred_labelIds.png",
        "ulm_000000_000019_pred_labelIds.png",
    ]
    assert read_mask(files[1]).tolist() == [list(LABEL_IDS)]


def test_two_images_of_one_name_are_refused(tmp_path):
    writer = SubmissionWriter(tmp_path / "submission", CITYSCAPES)
    class_map = np.zeros((1, 19), np.uint8)
    writer(Labeled("ulm/a_000000_000019"), class_map, SCORE)
    with pytest.raises(InputError, match="ulm/a_000000_000019 and bonn/a_000000_000019 have the same name in a submis"):
        writer(Labeled("bonn/a_000000_000019"), class_map, SCORE)


def test_pictures_of_another_program_are_kept_even_if_they_are_named_like_a_submission(tmp_path):
    write_image(tmp_path / "ulm_000000_000019_pred_labelIds.png")
    with pytest.raises(InputError, match=r"contains other PNGs, such as ulm_000000_000019_pred_labelIds\.png"):
        SubmissionWriter(tmp_path, CITYSCAPES)


def test_other_classes_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"for its 19 classes only; this data set has 11 classes \(Sky, Building, "):
        SubmissionWriter(tmp_path / "submission", CAMVID)


def test_a_file_in_the_folder_s_place_is_named(tmp_path):
    (tmp_path / "submission").touch()
    with pytest.raises(InputError, match=r"submission is a file; results are written to a folder, choose another name"):
        SubmissionWriter(tmp_path / "submission", CITYSCAPES)


def test_a_folder_with_other_pictures_is_refused(tmp_path):
    write_image(tmp_path / "old/ulm_000000_000019.png")
    with pytest.raises(InputError, match=r"contains other PNGs, such as ulm_000000_000019\.png, which the official"):
        SubmissionWriter(tmp_path, CITYSCAPES)


def test_images_of_other_names_and_other_classes_are_refused(tmp_path):
    writer = SubmissionWriter(tmp_path, CITYSCAPES)
    with pytest.raises(InputError, match=r"mine/photo_1: a submission needs images that are named CITY_SEQUENCE_FRAME"):
        writer(Labeled("mine/photo_1"), np.zeros((1, 19), np.uint8), SCORE)
    with pytest.raises(InputError, match=r"ulm_0_1: the prediction contains class 19; 0 to 18 are allowed"):
        writer(Labeled("ulm/ulm_0_1"), np.full((1, 19), 19, np.uint8), SCORE)

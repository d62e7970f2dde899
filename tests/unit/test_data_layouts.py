"""CamVid and Cityscapes on disk, and what is said about folders that are not."""

from __future__ import annotations

import numpy as np
import pytest

from rapidseg.core.errors import DatasetError, InputError
from rapidseg.data import open_dataset, open_layout
from rapidseg.data.layouts.cityscapes import LABEL_IDS
from tests.support.data_folders import SIZE_HW, random_label, write_camvid, write_cityscapes, write_image, write_mask


def test_the_label_ids_are_the_official_ones():
    # labels.py of cityscapesScripts: id of each trainId.
    official = {0: 7, 1: 8, 2: 11, 3: 12, 4: 13, 5: 17, 6: 19, 7: 20, 8: 21, 9: 22, 10: 23, 11: 24, 12: 25, 13: 26}
    official |= {14: 27, 15: 28, 16: 31, 17: 32, 18: 33}
    assert dict(enumerate(LABEL_IDS)) == official


def test_label_ids_become_train_ids(tmp_path):
    ids = np.arange(34, dtype=np.uint8).reshape(2, 17)
    write_mask(tmp_path / "gtFine/train/bonn/bonn_0_gtFine_labelIds.png", ids)
    write_image(tmp_path / "leftImg8bit/train/bonn/bonn_0_leftImg8bit.png", (2, 17))
    sample = open_dataset("cityscapes", tmp_path)[0]
    expected = np.full(34, 255)
    expected[list(LABEL_IDS)] = range(19)
    np.testing.assert_array_equal(sample.label.ravel(), expected)
    assert sample.name == "bonn/bonn_0"


def test_label_train_ids_come_first(tmp_path):
    write_cityscapes(tmp_path, np.full(SIZE_HW, 7, np.uint8), "labelIds")
    train_ids = random_label(19)
    train_ids[0, 0] = 255
    write_cityscapes(tmp_path, train_ids, "labelTrainIds")
    write_cityscapes(tmp_path, np.full(SIZE_HW, 7, np.uint8), "labelIds", name="ulm/ulm_0")
    write_mask(tmp_path / "gtFine/train/bonn/bonn_0_gtFine_color.png", np.zeros(SIZE_HW, np.uint8))
    dataset = open_dataset("cityscapes", tmp_path)
    np.testing.assert_array_equal(dataset[0].label, train_ids)
    assert (dataset[1].label == 0).all()
    assert open_layout("cityscapes", tmp_path).files("train").masks_without_image == ()


def test_an_id_that_cityscapes_does_not_have_is_refused(tmp_path):
    write_cityscapes(tmp_path, np.full(SIZE_HW, 34, np.uint8), "labelIds")
    with pytest.raises(DatasetError, match=r"has value 34 at 240 pixels, outside the classes \(ids 7, 8, 11 to 13"):
        open_dataset("cityscapes", tmp_path)[0]


def test_label_ids_in_place_of_train_ids_are_recognized(tmp_path):
    write_cityscapes(tmp_path, np.full(SIZE_HW, 26, np.uint8), "labelTrainIds")
    with pytest.raises(DatasetError, match=r"these look like label ids of Cityscapes instead of train ids"):
        open_dataset("cityscapes", tmp_path)[0]


def test_images_that_cityscapes_publishes_without_masks_are_no_split(tmp_path):
    for split in ("train", "val"):
        write_cityscapes(tmp_path, random_label(19), "labelTrainIds", split=split)
    write_image(tmp_path / "leftImg8bit/test/berlin/berlin_0_leftImg8bit.png")
    assert open_layout("cityscapes", tmp_path).splits() == ("train", "val")
    write_image(tmp_path / "leftImg8bit/mine/x/x_0_leftImg8bit.png")
    with pytest.raises(
        DatasetError, match=r"folder .*gtFine/mine does not exist\. Expected images and masks of mine:\n"
    ):
        open_dataset("cityscapes", tmp_path, split="mine")


def test_a_missing_mask_is_named(tmp_path):
    root = write_camvid(tmp_path)
    (root / "trainannot/001.png").unlink()
    with pytest.raises(DatasetError) as caught:
        open_dataset("camvid", root)
    assert str(caught.value) == (
        f"camvid train: 1 file is missing: {root}/trainannot/001.png (mask of {root}/train/001.png); restore them, or "
        "remove the files that need them; `rapidseg data check` lists all of them"
    )
    assert len(open_dataset("camvid", root, split="val")) == 3


def test_a_missing_folder_of_masks_is_named(tmp_path):
    root = write_camvid(tmp_path)
    for path in (root / "trainannot").iterdir():
        path.unlink()
    (root / "trainannot").rmdir()
    with pytest.raises(DatasetError, match=r"folder .*trainannot does not exist\. Expected images and masks of CamVid"):
        open_dataset("camvid", root)


def test_an_empty_split_is_refused(tmp_path):
    write_camvid(tmp_path, ("val",))
    for folder in ("train", "trainannot"):
        (tmp_path / folder).mkdir()
    with pytest.raises(DatasetError, match=r"camvid train: no images found in"):
        open_dataset("camvid", tmp_path)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("camvid", "no CamVid data set at {root}: looked for train or val or test, but it contains a, b. Expected:\n"),
        ("cityscapes", "no Cityscapes data set at {root}: looked for leftImg8bit or gtFine, but it contains a, b. "),
    ],
)
def test_a_wrong_root_says_what_was_looked_for(tmp_path, kind, message):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with pytest.raises(DatasetError) as caught:
        open_dataset(kind, tmp_path)
    assert str(caught.value).startswith(message.format(root=tmp_path))
    assert str(caught.value).endswith("pass the folder that contains them (--root DIR; root= in Python)")


def test_a_root_that_is_one_folder_off_is_found(tmp_path):
    write_camvid(tmp_path / "camvid")
    with pytest.raises(DatasetError, match=r"did you mean .*/camvid\?"):
        open_dataset("camvid", tmp_path)
    with pytest.raises(DatasetError, match=r"did you mean .*/camvid\?"):
        open_dataset("camvid", tmp_path / "camvid" / "train")


def test_a_root_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DatasetError, match=r"nowhere: looked for .*, but this folder does not exist"):
        open_dataset("camvid", tmp_path / "nowhere")


def test_two_images_of_one_name_are_refused(tmp_path):
    root = write_camvid(tmp_path)
    write_image(root / "train/000.jpg")
    with pytest.raises(DatasetError, match=r"000\.jpg and 000\.png have the same name"):
        open_dataset("camvid", root)


def test_hidden_files_are_skipped(tmp_path):
    root = write_camvid(tmp_path)
    (root / "train/._000.png").write_bytes(b"finder")
    assert len(open_dataset("camvid", root)) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("camvd",),
            r"unknown data set 'camvd' \(did you mean 'camvid'\?\); choose from camvid, cityscapes, "
            r"cityscapes-coarse, synth-as-camvid, or pass a "
            r"YAML file that describes your own data \(docs/data\.md\)",
        ),
        (
            ("camvid",),
            r"camvid needs the folder of the data: pass --root DIR \(root= in Python; data\.root",
        ),
        (("nowhere.yaml",), r"cannot read nowhere\.yaml: No such file or directory"),
    ],
)
def test_a_wrong_kind_is_explained(arguments, message):
    with pytest.raises(InputError, match=message):
        open_dataset(*arguments)


def test_a_wrong_split_is_explained(tmp_path):
    root = write_camvid(tmp_path)
    with pytest.raises(
        DatasetError, match=r"camvid has no split 'trian'; available: train, val \(did you mean 'train'\?\)"
    ):
        open_dataset("camvid", root, split="trian")
    with pytest.raises(DatasetError, match=r"'train\+train' contains duplicates"):
        open_dataset("camvid", root, split="train+train")

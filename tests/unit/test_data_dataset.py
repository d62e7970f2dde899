"""`Dataset`: reading samples, refusing wrong ones, taking parts, joining."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from PIL import Image

from rapidseg.core.errors import DatasetError, ImageError, InputError
from rapidseg.core.labels import CAMVID, LabelSet
from rapidseg.data import Dataset, open_dataset
from tests.support.data_folders import cut, random_label, write_camvid, write_image, write_mask, write_yaml_dataset


@pytest.fixture
def root(tmp_path):
    return write_camvid(tmp_path / "camvid")


def test_a_sample_is_what_the_files_hold(root):
    dataset = open_dataset("camvid", root)
    sample = dataset[1]
    assert (sample.name, sample.image.shape, sample.image.dtype) == ("001", (12, 20, 3), np.uint8)
    assert (sample.label.shape, sample.label.dtype) == ((12, 20), np.uint8)
    np.testing.assert_array_equal(sample.image, np.array(Image.open(dataset.image_path(1))))
    np.testing.assert_array_equal(sample.label, random_label(12, seed=1))
    assert dataset.labels == CAMVID
    assert (dataset.name, dataset.split) == ("camvid", "train")
    assert dataset.label_path(1) == root / "trainannot" / "001.png"


def test_it_is_a_sequence(root):
    dataset = open_dataset("camvid", root)
    assert len(dataset) == 3
    assert [sample.name for sample in dataset] == ["000", "001", "002"]
    assert dataset[-1].name == dataset[np.int64(2)].name == "002"
    with pytest.raises(IndexError):
        dataset[3]


def test_parts_are_data_sets(root):
    dataset = open_dataset("camvid", root)
    assert isinstance(dataset[1:], Dataset)
    assert [sample.name for sample in dataset[1:]] == ["001", "002"]
    assert [sample.name for sample in dataset.subset([2, 0])] == ["002", "000"]
    assert dataset.subset([2]).labels == CAMVID


def test_nothing_is_read_before_it_is_asked_for(root):
    cut(root / "train" / "002.png")
    dataset = open_dataset("camvid", root)
    assert dataset[0].name == "000"
    with pytest.raises(ImageError, match=r"002\.png: the file is damaged or cut off"):
        dataset[2]


def test_it_can_be_sent_to_another_process(root):
    dataset = pickle.loads(pickle.dumps(open_dataset("camvid", root)))
    np.testing.assert_array_equal(dataset[0].label, random_label(12, seed=0))


def test_splits_are_joined(root):
    dataset = open_dataset("camvid", root, split="train+val")
    assert (len(dataset), dataset.split) == (6, "train+val")
    assert dataset.image_path(3) == root / "val" / "000.png"


def test_sets_of_other_classes_are_not_joined(root):
    camvid = open_dataset("camvid", root)
    other = Dataset([], LabelSet.generic(11), name="mine", split="train")
    with pytest.raises(DatasetError, match=r"cannot join camvid train and mine train: their classes"):
        Dataset.join([camvid, other])


def test_labels_with_another_ignore_index_are_followed(root):
    labels = CAMVID.model_copy(update={"ignore_index": 255})
    label = open_dataset("camvid", root, labels=labels)[0].label
    expected = random_label(12, seed=0)
    np.testing.assert_array_equal(label, np.where(expected == 11, 255, expected))


def test_labels_of_another_number_of_classes_are_refused(root):
    with pytest.raises(InputError, match=r"labels has 5 classes, but the data set has 11; pass 11, or merge"):
        open_dataset("camvid", root, labels=LabelSet.generic(5))


def test_a_value_that_is_no_class_names_file_value_pixels_and_advice(root):
    mask = random_label(11)
    mask[:2, :3] = 255
    write_mask(root / "trainannot" / "001.png", mask)
    with pytest.raises(DatasetError) as caught:
        open_dataset("camvid", root)[1]
    assert str(caught.value) == (
        f"{root}/trainannot/001.png has value 255 at 6 pixels, outside the classes (ids 0 to 10 are classes, 11 is "
        "ignored); 255 usually means unlabeled, but ignore_index is 11; write `ignore_index: 255`, or list every "
        "value in `label_map`, with `255: ignore`, in a YAML file that describes the data (docs/data.md); "
        "`rapidseg data check` lists all such files"
    )


def test_another_size_is_refused(root):
    write_image(root / "train" / "001.png", (6, 20))
    with pytest.raises(DatasetError, match=r"001\.png has 6x20 pixels but its mask .*001\.png has 12x20; an image and"):
        open_dataset("camvid", root)[1]


def test_swapped_sides_are_explained(root):
    write_image(root / "train" / "001.png", (20, 12))
    with pytest.raises(DatasetError, match=r"height and width are swapped: .* EXIF rotation"):
        open_dataset("camvid", root)[1]


def test_a_colored_mask_in_place_of_ids_is_explained(tmp_path):
    colors = np.random.default_rng(0).integers(0, 256, (12, 20, 3)).astype(np.uint8)
    gray = np.repeat(random_label(2)[..., None], 3, axis=2)
    described = write_yaml_dataset(tmp_path, "classes: [road, car]", {"a": colors, "b": gray})
    dataset = open_dataset(described)
    with pytest.raises(ImageError, match=r"set `mask_format: colors`, and a color for each class"):
        dataset[0]
    with pytest.raises(ImageError, match=r"its channels are equal, so save one of them as a gray PNG"):
        dataset[1]


def test_real_camvid(camvid_root):
    dataset = open_dataset("camvid", camvid_root, split="train+val")
    assert len(dataset) == 367 + 101
    sample = dataset[0]
    assert sample.image.shape == (360, 480, 3)
    assert set(np.unique(sample.label)) <= set(range(12))

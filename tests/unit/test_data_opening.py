"""Descriptions of data sets that come with the package."""

import numpy as np
import pytest

from rapidseg.core.errors import InputError
from rapidseg.core.labels import CAMVID, CITYSCAPES, CITYSCAPES_TO_CAMVID
from rapidseg.data import Dataset, open_dataset
from rapidseg.scenes import write_dataset


def test_drawn_scenes_are_read_with_the_classes_of_camvid(tmp_path):
    write_dataset(tmp_path, 2, num_val_images=0, seed=3, size_hw=(64, 128), workers=1)
    as_cityscapes = open_dataset("cityscapes", tmp_path)
    as_camvid = open_dataset("synth-as-camvid", tmp_path)
    assert as_camvid.labels == CAMVID
    table = np.full(256, CAMVID.ignore_index, np.uint8)
    table[: len(CITYSCAPES.names)] = CITYSCAPES_TO_CAMVID
    for there, here in zip(as_cityscapes, as_camvid, strict=True):
        assert np.array_equal(there.image, here.image)
        assert np.array_equal(table[there.label], here.label)
    assert len(Dataset.join([as_camvid, as_camvid])) == 4


def test_they_need_a_folder():
    with pytest.raises(InputError, match="synth-as-camvid needs the folder of the data"):
        open_dataset("synth-as-camvid")

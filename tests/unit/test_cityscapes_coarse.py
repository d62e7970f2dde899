"""The coarse annotations of Cityscapes, and masks that are still to be drawn."""

from __future__ import annotations

import pytest

from rapidseg.core.errors import DatasetError
from rapidseg.data import Dataset, check_dataset, open_dataset, open_layout
from rapidseg.data.cityscapes_preparation import prepare_cityscapes
from tests.support.data_folders import write_image
from tests.support.polygon_files import SIZE_HW, street, write_polygons

FINE, COARSE = "ulm/ulm_000000_000019", "bad-honnef/bad-honnef_000000_000000"


@pytest.fixture
def root(tmp_path):
    """Fine and coarse annotations of `train`, and coarse ones of `train_extra`, without masks."""
    for seed, (folder, split, name) in enumerate(
        [("gtFine", "train", FINE), ("gtCoarse", "train", FINE), ("gtCoarse", "train_extra", COARSE)]
    ):
        write_polygons(tmp_path, street(seed), name, folder=folder, split=split)
        write_image(tmp_path / "leftImg8bit" / split / f"{name}_leftImg8bit.png", SIZE_HW)
    return tmp_path


def test_coarse_splits_are_read_and_join_fine_ones(root):
    prepare_cityscapes(root)
    layout = open_layout("cityscapes-coarse", root)
    assert layout.splits() == ("train", "train_extra")
    assert open_layout("cityscapes", root).splits() == ("train",)
    assert check_dataset(layout).ok
    extra = open_dataset("cityscapes-coarse", root, "train_extra")
    assert extra.label_path(0).name == "bad-honnef_000000_000000_gtCoarse_labelTrainIds.png"
    joined = Dataset.join([open_dataset("cityscapes", root), extra])
    assert [sample.name for sample in joined] == [FINE, COARSE]
    assert repr(joined) == "<Dataset cityscapes+cityscapes-coarse train+train_extra: 2 samples, 19 classes>"
    assert (joined[0].label != open_dataset("cityscapes-coarse", root)[0].label).any()


def test_label_ids_do_for_coarse_annotations_too(root):
    prepare_cityscapes(root, ["labelIds"])
    by_label_ids = open_dataset("cityscapes-coarse", root)[0].label
    prepare_cityscapes(root, ["labelTrainIds"])
    assert (open_dataset("cityscapes-coarse", root)[0].label == by_label_ids).all()


@pytest.mark.parametrize(("kind", "folder"), [("cityscapes", "gtFine"), ("cityscapes-coarse", "gtCoarse")])
def test_polygons_without_masks_say_how_to_draw_them(kind, folder, root):
    with pytest.raises(DatasetError) as caught:
        open_dataset(kind, root)
    assert str(caught.value) == (
        f"{kind} train: 1 file is missing: {root}/{folder}/train/{FINE}_{folder}_labelTrainIds.png (mask of "
        f"{root}/leftImg8bit/train/{FINE}_leftImg8bit.png); their polygon files exist: draw the masks with "
        f"`rapidseg data prepare cityscapes {root}`; `rapidseg data check` lists all of them"
    )
    (finding,) = [finding for finding in check_dataset(open_layout(kind, root), ["train"]).findings if finding.files]
    assert finding.advice.endswith(f"draw the masks with `rapidseg data prepare cityscapes {root}`")


def test_masks_that_cannot_be_drawn_are_to_be_restored(root):
    write_image(root / "leftImg8bit/train/ulm/ulm_000001_000019_leftImg8bit.png")
    advice = open_layout("cityscapes", root).files("train").advice
    assert advice.startswith("1 of them have polygon files: draw these with `rapidseg data prepare")
    assert advice.endswith("and restore the others")
    (root / f"gtFine/train/{FINE}_gtFine_polygons.json").unlink()
    assert open_layout("cityscapes", root).files("train").advice is None


def test_no_coarse_annotations(tmp_path):
    write_image(tmp_path / "leftImg8bit/train/ulm/ulm_0_0_leftImg8bit.png")
    with pytest.raises(DatasetError) as caught:
        open_dataset("cityscapes-coarse", tmp_path)
    assert "looked for leftImg8bit or gtCoarse, but it contains leftImg8bit" in str(caught.value)
    assert "gtCoarse/SPLIT/CITY/*_gtCoarse_labelTrainIds.png or *_gtCoarse_labelIds.png" in str(caught.value)

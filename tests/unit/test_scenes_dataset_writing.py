"""Scenes as files: the layout of Cityscapes, the same bytes each time, and going on after an interruption."""

from __future__ import annotations

import numpy as np
import pytest

from rapidseg.core.errors import DatasetError, InputError
from rapidseg.data import open_dataset
from rapidseg.imaging import read_mask
from rapidseg.scenes import draw_scene, write_dataset

SIZE = (64, 128)


def files(root):
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def test_the_layout_of_cityscapes(tmp_path):
    written = write_dataset(tmp_path / "synth", 2, num_val_images=1, seed=4, size_hw=SIZE)
    assert (written.num_train, written.num_val, written.num_drawn, written.num_kept) == (2, 1, 3, 0)
    assert sorted(files(tmp_path / "synth")) == [
        "gtFine/train/synth/synth_000000_000019_gtFine_labelIds.png",
        "gtFine/train/synth/synth_000000_000019_gtFine_labelTrainIds.png",
        "gtFine/train/synth/synth_000001_000019_gtFine_labelIds.png",
        "gtFine/train/synth/synth_000001_000019_gtFine_labelTrainIds.png",
        "gtFine/val/synth/synth_500000_000019_gtFine_labelIds.png",
        "gtFine/val/synth/synth_500000_000019_gtFine_labelTrainIds.png",
        "leftImg8bit/train/synth/synth_000000_000019_leftImg8bit.png",
        "leftImg8bit/train/synth/synth_000001_000019_leftImg8bit.png",
        "leftImg8bit/val/synth/synth_500000_000019_leftImg8bit.png",
        "synth.json",
    ]


def test_what_is_read_back_is_what_was_drawn(tmp_path):
    write_dataset(tmp_path, 2, num_val_images=1, seed=4, size_hw=SIZE)
    dataset = open_dataset("cityscapes", root=tmp_path, split="train")
    assert len(dataset) == 2
    for index in range(2):
        sample, drawn = dataset[index], draw_scene(4, index, SIZE)
        assert np.array_equal(sample.image, drawn.image)
        assert np.array_equal(sample.label, drawn.label)
        assert sample.name == drawn.name


def test_label_ids_and_train_ids_say_the_same(tmp_path):
    write_dataset(tmp_path, 3, size_hw=SIZE)
    for path in tmp_path.rglob("*_labelTrainIds.png"):
        path.rename(path.with_name("moved_" + path.name.replace("_gtFine_labelTrainIds.png", ".png")))
    dataset = open_dataset("cityscapes", root=tmp_path, split="train")
    for index in range(3):
        train_ids = read_mask(next(tmp_path.rglob(f"moved_synth_{index:06d}*.png")))
        assert np.array_equal(dataset[index].label, train_ids)


def test_the_same_bytes_however_many_workers_and_in_whatever_order(tmp_path):
    write_dataset(tmp_path / "one", 3, num_val_images=1, size_hw=SIZE)
    write_dataset(tmp_path / "two", 3, num_val_images=1, size_hw=SIZE, workers=2)
    write_dataset(tmp_path / "grown", 1, size_hw=SIZE)
    write_dataset(tmp_path / "grown", 3, num_val_images=1, size_hw=SIZE)
    expected = files(tmp_path / "one")
    assert files(tmp_path / "two") == expected
    assert files(tmp_path / "grown") == expected


def test_going_on_draws_only_what_is_missing(tmp_path):
    write_dataset(tmp_path, 3, size_hw=SIZE)
    before = files(tmp_path)
    lost = tmp_path / "gtFine/train/synth/synth_000001_000019_gtFine_labelIds.png"
    lost.unlink()
    calls = []
    written = write_dataset(tmp_path, 3, size_hw=SIZE, progress=lambda done, total: calls.append((done, total)))
    assert (written.num_drawn, written.num_kept) == (1, 2)
    assert calls == [(2, 3), (3, 3)]
    assert files(tmp_path) == before


def test_an_interruption_leaves_no_half_files(tmp_path):
    def stop(done, total):
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_dataset(tmp_path, 3, size_hw=SIZE, progress=stop)
    assert len(files(tmp_path)) == 4
    assert not list(tmp_path.rglob("*.part*"))
    write_dataset(tmp_path, 3, size_hw=SIZE)
    assert len(files(tmp_path)) == 10


def test_another_seed_or_size_needs_another_folder(tmp_path):
    write_dataset(tmp_path, 1, size_hw=SIZE)
    before = files(tmp_path)
    with pytest.raises(DatasetError) as caught:
        write_dataset(tmp_path, 1, seed=1, size_hw=(64, 64))
    assert str(caught.value) == (
        f"{tmp_path} contains scenes of seed 0 at 64x128 (drawing version 1), not of seed 1 at 64x64 "
        "(drawing version 1); choose another folder, or remove this one"
    )
    assert files(tmp_path) == before


def test_a_folder_with_other_things_is_left_alone(tmp_path):
    (tmp_path / "holiday.png").write_bytes(b"")
    with pytest.raises(DatasetError, match=r"is not empty and was not drawn by this command \(no synth.json\); choose"):
        write_dataset(tmp_path, 1, size_hw=SIZE)
    assert list(files(tmp_path)) == ["holiday.png"]


def test_a_broken_note(tmp_path):
    (tmp_path / "synth.json").write_text("{")
    with pytest.raises(DatasetError, match=r"cannot read .*synth.json: .*; choose another folder, or remove this one"):
        write_dataset(tmp_path, 1, size_hw=SIZE)
    (tmp_path / "synth.json").write_text("[1]")
    with pytest.raises(DatasetError, match=r"contains scenes of \[1\], not of seed 0"):
        write_dataset(tmp_path, 1, size_hw=SIZE)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_images": 0}, "num_images is 0, but must be at least 1"),
        ({"num_images": 1, "num_val_images": -1}, "num_val_images is -1, but must be at least 0"),
        ({"num_images": 1, "workers": 0}, "workers is 0, but must be at least 1"),
        ({"num_images": 500_001}, "500001 scenes per split are too many; the limit is 500000"),
        ({"num_images": 1, "seed": -1}, "seed is -1, but must be 0 or more"),
        (
            {"num_images": 1, "size_hw": (8, 8)},
            "cannot draw a scene of 8x8 pixels; height and width must be 32 to 8192",
        ),
    ],
)
def test_mistakes_are_found_before_anything_is_written(tmp_path, arguments, message):
    with pytest.raises(InputError) as caught:
        write_dataset(tmp_path / "synth", **arguments)
    assert str(caught.value) == message
    assert not (tmp_path / "synth").exists()

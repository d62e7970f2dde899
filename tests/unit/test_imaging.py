"""Resizing, drawing, writing and finding images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rapidseg.core.errors import InputError
from rapidseg.core.labels import CAMVID, LabelSet
from rapidseg.imaging import (
    add_legend,
    decode_image,
    encode_jpeg,
    find_images,
    input_size_hw,
    is_own_picture,
    overlay,
    read_image,
    read_mask,
    resize_image,
    write_class_map,
    write_image,
)


@pytest.fixture
def noise() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)


def test_resize_gives_the_same_array_at_its_own_size(noise: np.ndarray) -> None:
    assert resize_image(noise, (40, 60)) is noise


def test_resize_sizes(noise: np.ndarray) -> None:
    for size_hw in [(80, 121), (33, 47), (7, 9), (10, 200), (200, 10), (1, 1)]:
        assert resize_image(noise, size_hw).shape == (*size_hw, 3)
        assert resize_image(noise[:, :, 0], size_hw).shape == size_hw


def test_halving_is_the_mean_of_four_pixels(noise: np.ndarray) -> None:
    means = noise.reshape(20, 2, 30, 2, 3).mean(axis=(1, 3))
    assert np.abs(resize_image(noise, (20, 30)) - means).max() <= 1


def test_shrinking_a_lot_averages_instead_of_skipping_pixels(noise: np.ndarray) -> None:
    means = noise.reshape(8, 5, 12, 5, 3).mean(axis=(1, 3))
    assert np.abs(resize_image(noise, (8, 12)) - means).max() <= 1


@pytest.mark.parametrize(
    ("image_size_hw", "input_size", "stride", "expected"),
    [
        ((360, 480), None, 8, (360, 480)),
        ((361, 483), None, 8, (361, 483)),
        ((10, 500), None, 8, (32, 500)),
        ((1, 1), None, 8, (32, 32)),
        ((360, 480), 360, 8, (360, 480)),
        ((720, 960), 360, 8, (360, 480)),
        ((960, 720), 360, 8, (480, 360)),
        ((1080, 1920), 360, 8, (360, 640)),
        ((1000, 1503), 360, 32, (352, 544)),
        ((1000, 1503), 50, 64, (64, 64)),
        ((77, 99), (97, 161), 8, (97, 161)),
    ],
)
def test_input_size(
    image_size_hw: tuple[int, int], input_size: int | tuple[int, int] | None, stride: int, expected: tuple[int, int]
) -> None:
    assert input_size_hw(image_size_hw, input_size, stride) == expected


@pytest.mark.parametrize("input_size", [31, 0, (31, 64), (64, 0)])
def test_input_size_too_small(input_size: int | tuple[int, int]) -> None:
    with pytest.raises(InputError, match=r"input size .* is not allowed; .* each 32 pixels or more"):
        input_size_hw((100, 100), input_size)


def test_overlay_blends(noise: np.ndarray) -> None:
    class_map = np.random.default_rng(1).integers(0, 11, noise.shape[:2], dtype=np.uint8)
    colors = CAMVID.palette_array()[class_map]
    expected = 0.7 * noise + 0.3 * colors
    assert np.abs(overlay(noise, class_map, CAMVID.palette_array(), 0.3) - expected).max() <= 0.51
    np.testing.assert_array_equal(overlay(noise, class_map, np.array(CAMVID.palette, np.uint8), 1), colors)
    np.testing.assert_array_equal(overlay(noise, class_map, CAMVID.palette_array(), 0), noise)


def test_overlay_messages(noise: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"the image is 40x60 but the class map is 10x20 \(height x width\)"):
        overlay(noise, np.zeros((10, 20), np.uint8), CAMVID.palette_array())
    with pytest.raises(InputError, match=r"alpha is 1\.5; it must be between 0 and 1"):
        overlay(noise, np.zeros((40, 60), np.uint8), CAMVID.palette_array(), 1.5)


@pytest.mark.parametrize("size_hw", [(1, 1), (32, 32), (360, 480), (40, 2000), (1500, 300)])
def test_legend_is_below_the_image_and_hides_nothing(size_hw: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*size_hw, 3), dtype=np.uint8)
    class_map = np.resize(np.arange(11, dtype=np.uint8), size_hw)
    drawn = add_legend(image, CAMVID, class_map)
    np.testing.assert_array_equal(drawn[: size_hw[0], : size_hw[1]], image)
    legend = drawn[size_hw[0] :].reshape(-1, 3)
    for class_id, color in enumerate(CAMVID.palette):
        assert (legend == color).all(axis=1).any() == (class_id in class_map)


def test_legend_names_only_what_is_there() -> None:
    image = np.zeros((100, 100, 3), np.uint8)
    few = add_legend(image, CAMVID, np.zeros((100, 100), np.uint8))
    nothing = add_legend(image, CAMVID, np.full((100, 100), CAMVID.ignore_index, np.uint8))
    assert few.shape[0] > nothing.shape[0] > 100


def test_class_map_comes_back_as_ids_and_as_colors(tmp_path: Path) -> None:
    labels = LabelSet.generic(40)
    class_map = np.random.default_rng(0).integers(0, 40, (33, 47), dtype=np.uint8)
    write_class_map(tmp_path / "map.png", class_map, np.array(labels.palette, np.uint8))
    np.testing.assert_array_equal(read_mask(tmp_path / "map.png"), class_map)
    np.testing.assert_array_equal(read_image(tmp_path / "map.png"), labels.palette_array()[class_map])
    with Image.open(tmp_path / "map.png") as image:
        assert image.mode == "P"


def test_write_image(tmp_path: Path, noise: np.ndarray) -> None:
    write_image(tmp_path / "new folder" / "image.png", noise)
    np.testing.assert_array_equal(read_image(tmp_path / "new folder" / "image.png"), noise)
    write_image(tmp_path / "image.JPG", noise)
    assert read_image(tmp_path / "image.JPG").shape == noise.shape
    with pytest.raises(
        InputError, match=r"image\.gif: pass a file name that ends in \.png, \.jpg or \.jpeg, such as image\.png"
    ):
        write_image(tmp_path / "image.gif", noise)
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(InputError, match=r"folder\.png is a folder; pass a file name"):
        write_image(tmp_path / "folder.png", noise)
    assert not [path for path in tmp_path.iterdir() if ".part" in path.name]


def test_find_images(tmp_path: Path) -> None:
    for name in ["b.png", "a.JPG", "note.txt", ".hidden.png", "sub/c.tiff", "sub/deep/d.webp", "odd[1].bmp"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()

    def names(*paths: str) -> list[str]:
        return [str(path.relative_to(tmp_path)) for path in find_images(tmp_path / path for path in paths)]

    assert names("") == ["a.JPG", "b.png", "odd[1].bmp"]
    assert names("b.png", "") == ["b.png", "a.JPG", "odd[1].bmp"]
    assert names("odd[1].bmp", "note.txt") == ["odd[1].bmp", "note.txt"]
    assert names("**/*") == ["a.JPG", "b.png", "odd[1].bmp", "sub/c.tiff", "sub/deep/d.webp"]
    assert names("sub/*", "sub") == ["sub/c.tiff"]


def test_find_images_names_what_matches_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for entry, message in {
        "absent.png": r"absent\.png: no such file or folder",
        "empty": r"empty: no image files directly in this folder",
        "*.jpg": r"\*\.jpg: this pattern matches no image file",
    }.items():
        with pytest.raises(InputError, match=message):
            find_images([tmp_path / entry])


class TestPicturesSayWhoWroteThem:
    """So that a later run knows which files it may replace."""

    def test_own_pictures_are_recognized(self, tmp_path):
        rng = np.random.default_rng(0)
        image = rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)
        write_image(tmp_path / "a.png", image)
        write_image(tmp_path / "a.jpg", image)
        write_image(tmp_path / "gray.jpg", image[..., 0])
        write_class_map(tmp_path / "c.png", image[..., 0] % 11, CAMVID.palette_array())
        for path in tmp_path.iterdir():
            assert is_own_picture(path)
            assert read_image(path).shape == (40, 50, 3)
        np.testing.assert_array_equal(read_image(tmp_path / "a.png"), image)
        np.testing.assert_array_equal(read_image(tmp_path / "a.jpg"), decode_image(encode_jpeg(image)))

    def test_other_files_are_not(self, tmp_path):
        Image.new("RGB", (5, 5)).save(tmp_path / "a.png")
        Image.new("RGB", (5, 5)).save(tmp_path / "a.jpg")
        (tmp_path / "empty").touch()
        (tmp_path / "text").write_text("RapidSeg")
        assert not any(map(is_own_picture, (*tmp_path.iterdir(), tmp_path, tmp_path / "missing")))

    def test_a_jpeg_file_has_a_largest_size(self, tmp_path):
        with pytest.raises(InputError, match=r"at most 65500 pixels a side, and the picture 1x65501; save it as \.png"):
            write_image(tmp_path / "wide.jpg", np.zeros((1, 65_501, 3), np.uint8))
        write_image(tmp_path / "wide.jpg", np.zeros((1, 65_500, 3), np.uint8))
        write_image(tmp_path / "wide.png", np.zeros((1, 65_501, 3), np.uint8))
        assert sorted(path.name for path in tmp_path.iterdir()) == ["wide.jpg", "wide.png"]

"""Every kind of image that a caller may pass becomes the same array."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from rapidseg.core.errors import ImageError, InputError
from rapidseg.imaging import read_image, to_image

ROTATED_RIGHT = 6  # EXIF: the stored picture must be rotated by 90 degrees clockwise


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    """A smooth (48, 70, 3) picture without symmetry."""
    rows, columns = np.mgrid[0:48, 0:70]
    return np.stack([rows * 5, columns * 3, 250 - rows * 2 - columns * 2], axis=2).astype(np.uint8)


def save_rotated(path: Path, picture: np.ndarray) -> None:
    exif = Image.Exif()
    exif[0x0112] = ROTATED_RIGHT
    Image.fromarray(picture).save(path, exif=exif)


def save_palette(path: Path, picture: np.ndarray) -> None:
    Image.fromarray(picture).quantize(32).save(path, transparency=bytes([0, 7, 9]))


def save_rgba(path: Path, picture: np.ndarray) -> None:
    Image.fromarray(np.dstack([picture, picture[:, :, 0]])).save(path)


FILES = {
    "plain.jpg": lambda path, picture: Image.fromarray(picture).save(path),
    "rotated.jpg": save_rotated,
    "rotated.png": save_rotated,
    "palette.png": save_palette,
    "deep.png": lambda path, picture: Image.fromarray(picture[:, :, 0].astype(np.uint16) * 257).save(path),
    "deep_color.png": lambda path, picture: cv2.imwrite(str(path), picture.astype(np.uint16) * 257),
    "rgba.png": save_rgba,
    "la.png": lambda path, picture: Image.fromarray(picture[:, :, :2], "LA").save(path),
    "gray.png": lambda path, picture: Image.fromarray(picture[:, :, 0]).save(path),
    "gray.jpg": lambda path, picture: Image.fromarray(picture[:, :, 0]).save(path),
    "bits.png": lambda path, picture: Image.fromarray(picture[:, :, 0] > 99).save(path),
    "cmyk.jpg": lambda path, picture: Image.fromarray(picture).convert("CMYK").save(path),
    "cmyk.tif": lambda path, picture: Image.fromarray(picture).convert("CMYK").save(path),
    "image.webp": lambda path, picture: Image.fromarray(picture).save(path),
    "image.bmp": lambda path, picture: Image.fromarray(picture).save(path),
}


@pytest.mark.filterwarnings("ignore:'mode' parameter is deprecated:DeprecationWarning")
@pytest.mark.parametrize("name", FILES)
def test_paths_bytes_and_pil_images_are_one_array(tmp_path: Path, picture: np.ndarray, name: str) -> None:
    path = tmp_path / name
    FILES[name](path, picture)
    expected = read_image(path)
    assert expected.shape == ((70, 48, 3) if "rotated" in name else (48, 70, 3))
    assert expected.dtype == np.uint8
    content = path.read_bytes()
    for encoded in (content, bytearray(content), memoryview(content)):
        np.testing.assert_array_equal(to_image(encoded), expected)
    for source in (path, str(path)):
        np.testing.assert_array_equal(to_image(source), expected)
        np.testing.assert_array_equal(to_image(source, bgr=True), expected)  # files know their color order
    if name == "deep_color.png":  # Pillow itself keeps the upper 8 bits
        np.testing.assert_array_equal(expected, picture[:, :, ::-1])
    with Image.open(path) as image:
        mode, info = image.mode, dict(image.info)
        np.testing.assert_array_equal(to_image(image), expected)
        assert (image.mode, {key: image.info.get(key) for key in info}) == (mode, info)  # not changed
        image.seek(0)


@pytest.mark.parametrize("mode", ["RGBA", "RGBa", "LA", "La", "L", "1", "P", "CMYK", "YCbCr", "HSV", "RGBX", "I;16"])
def test_pil_images_of_every_mode(picture: np.ndarray, mode: str) -> None:
    image = Image.fromarray(picture)
    if mode in ("RGBa", "La"):
        image = image.convert({"RGBa": "RGBA", "La": "LA"}[mode])
    image = image.convert("L").convert(mode) if mode == "I;16" else image.convert(mode)
    assert image.mode == mode
    array = to_image(image)
    assert array.shape == (48, 70, 3)
    assert array.dtype == np.uint8
    assert array.flags.c_contiguous


def test_arrays(picture: np.ndarray) -> None:
    assert to_image(picture) is picture
    bgr = picture[:, :, ::-1]
    np.testing.assert_array_equal(to_image(bgr, bgr=True), picture)
    np.testing.assert_array_equal(to_image(np.ascontiguousarray(bgr), bgr=True), picture)


def test_damaged_images(tmp_path: Path, picture: np.ndarray) -> None:
    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)).save(stream, "PNG")
    half = stream.getvalue()[: len(stream.getvalue()) // 2]
    with pytest.raises(ImageError, match=r"encoded image: the file is damaged or cut off"):
        to_image(half)
    with Image.open(io.BytesIO(half)) as image, pytest.raises(ImageError, match=r"PIL image cannot be converted"):
        to_image(image)
    with pytest.raises(ImageError, match=r"PIL image: images with 32 bits per channel are not supported"):
        to_image(Image.fromarray(np.zeros((4, 4), np.float32)))
    for wrong in (None, 3, [1, 2], {"a": 1}):
        with pytest.raises(InputError, match=r"an image must be a path, the bytes of an image file, a PIL image, or"):
            to_image(wrong)

"""Every kind of image file that people have, written by real encoders and read back."""

from __future__ import annotations

import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from rapidseg.core.errors import ImageError
from rapidseg.imaging import read_image, read_mask

ROTATED_RIGHT = 6  # EXIF: the stored picture must be turned by 90 degrees clockwise


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    """A smooth (48, 70, 3) picture without symmetry, which JPEG and WebP keep within a few gray levels."""
    rows, columns = np.mgrid[0:48, 0:70]
    return np.stack([rows * 5, columns * 3, 250 - rows * 2 - columns * 2], axis=2).astype(np.uint8)


@pytest.fixture(scope="module")
def ids() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 11, (30, 41), dtype=np.uint8)


@pytest.mark.parametrize(
    ("suffix", "mean_difference"), [("jpg", 3), ("png", 0), ("webp", 3), ("bmp", 0), ("tif", 0), ("tiff", 0)]
)
def test_formats(tmp_path: Path, picture: np.ndarray, suffix: str, mean_difference: int) -> None:
    path = tmp_path / f"Straße 写真.{suffix}"  # non-ASCII names must work on every system
    Image.fromarray(picture).save(path)
    image = read_image(path)
    assert image.shape == (48, 70, 3)
    assert image.dtype == np.uint8
    assert image.flags.writeable
    assert image.flags.c_contiguous
    assert np.abs(image.astype(int) - picture).mean() <= mean_difference


@pytest.mark.parametrize(
    "options", [{}, {"subsampling": 0}, {"progressive": True}, {"quality": 30}, {"keep_rgb": True}]
)
def test_color_jpegs_are_what_pillow_makes_of_them(
    tmp_path: Path, picture: np.ndarray, options: dict[str, int]
) -> None:
    noise = np.random.default_rng(0).integers(-20, 20, (*picture.shape[:2], 3))
    path = tmp_path / "image.jpg"
    Image.fromarray((picture + noise).clip(0, 255).astype(np.uint8)).save(path, **options)
    with Image.open(path) as image:
        np.testing.assert_array_equal(read_image(path), np.array(image))
    path.write_bytes(path.read_bytes() + bytes(5))  # as cameras pad their files
    with Image.open(path) as image:
        np.testing.assert_array_equal(read_image(path), np.array(image))


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bit_keeps_the_upper_8(tmp_path: Path, picture: np.ndarray, suffix: str) -> None:
    deep = picture.astype(np.uint16) * 256 + 99
    cv2.imwrite(str(tmp_path / f"color.{suffix}"), deep[:, :, ::-1])
    cv2.imwrite(str(tmp_path / f"gray.{suffix}"), deep[:, :, 0])
    cv2.imwrite(str(tmp_path / f"alpha.{suffix}"), np.dstack([deep[:, :, ::-1], deep[:, :, 0]]))
    np.testing.assert_array_equal(read_image(tmp_path / f"color.{suffix}"), picture)
    np.testing.assert_array_equal(read_image(tmp_path / f"alpha.{suffix}"), picture)
    np.testing.assert_array_equal(read_image(tmp_path / f"gray.{suffix}"), np.repeat(picture[:, :, :1], 3, axis=2))


def test_transparency_is_dropped_not_blended(tmp_path: Path, picture: np.ndarray) -> None:
    alpha = np.zeros(picture.shape[:2], np.uint8)
    Image.fromarray(np.dstack([picture, alpha])).save(tmp_path / "rgba.png")
    Image.fromarray(np.dstack([picture[:, :, 0], alpha])).save(tmp_path / "la.png")
    np.testing.assert_array_equal(read_image(tmp_path / "rgba.png"), picture)
    np.testing.assert_array_equal(read_image(tmp_path / "la.png")[:, :, 2], picture[:, :, 0])


def test_gray_palette_one_bit_and_cmyk(tmp_path: Path, picture: np.ndarray, ids: np.ndarray) -> None:
    Image.fromarray(picture[:, :, 0]).save(tmp_path / "gray.png")
    assert np.ptp(read_image(tmp_path / "gray.png"), axis=2).max() == 0
    colors = np.random.default_rng(1).integers(0, 256, (256, 3), dtype=np.uint8)
    palette_image = Image.fromarray(ids)
    palette_image.putpalette(colors.tobytes())
    palette_image.save(tmp_path / "palette.png", transparency=bytes([0, 7, 9]))
    np.testing.assert_array_equal(read_image(tmp_path / "palette.png"), colors[ids])
    Image.fromarray(ids > 5).save(tmp_path / "bits.png")
    np.testing.assert_array_equal(read_image(tmp_path / "bits.png")[:, :, 1], np.where(ids > 5, 255, 0))
    Image.fromarray(picture).convert("CMYK").save(tmp_path / "cmyk.jpg")
    assert read_image(tmp_path / "cmyk.jpg").shape == picture.shape


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
def test_exif_orientation(tmp_path: Path, picture: np.ndarray, suffix: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = ROTATED_RIGHT
    Image.fromarray(picture).save(tmp_path / f"turned.{suffix}", exif=exif)
    image = read_image(tmp_path / f"turned.{suffix}")
    assert image.shape == (70, 48, 3)
    assert np.abs(image.astype(int) - np.rot90(picture, -1)).mean() <= 3


def test_exif_orientation_of_16_bit_and_masks(tmp_path: Path, picture: np.ndarray, ids: np.ndarray) -> None:
    exif = Image.Exif()
    exif[0x0112] = ROTATED_RIGHT
    Image.fromarray(picture[:, :, 0].astype(np.uint16) * 257).save(tmp_path / "deep.png", exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / "deep.png")[:, :, 0], np.rot90(picture[:, :, 0], -1))
    Image.fromarray(ids).save(tmp_path / "mask.png", exif=exif)
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.png"), np.rot90(ids, -1))


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_broken_exif_does_not_spoil_a_sound_picture(tmp_path: Path, picture: np.ndarray) -> None:
    Image.fromarray(picture).save(tmp_path / "image.jpg", exif=b"Exif\x00\x00MM\x00*\xff\xff\xff\xff")
    assert read_image(tmp_path / "image.jpg").shape == picture.shape


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "bmp", "tif"])
@pytest.mark.parametrize("kept", [0.4, 0.9])
@pytest.mark.filterwarnings("ignore::UserWarning")  # pytest replaces the filter that imaging sets
def test_cut_off_files_are_refused(tmp_path: Path, picture: np.ndarray, suffix: str, kept: float) -> None:
    path = tmp_path / f"cut.{suffix}"
    noise = np.random.default_rng(2).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(ImageError, match=r"cut\.\w+: (the file is damaged or cut off|not a readable)"):
        read_image(path)


def test_messages(tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("hello")
    Image.fromarray(np.zeros((4, 4), np.float32)).save(tmp_path / "float.tif")
    for name, message in {
        "missing.png": r"missing\.png: no such file",
        "": r" is a folder, not an image file",
        "empty.png": r"empty\.png: the file is empty",
        "text.png": r"text\.png: not a readable JPEG, PNG, WebP, BMP or TIFF image",
        "float.tif": r"float\.tif: images with 32 bits per channel are not supported; "
        "convert the image to 8 or 16 bits",
    }.items():
        with pytest.raises(ImageError, match=message):
            read_image(tmp_path / name)


def test_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(np.zeros((40, 40), np.uint8)).save(tmp_path / "large.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)
    with pytest.raises(ImageError, match=r"large\.png: too large; images of up to \d+ million pixels are read"):
        read_image(tmp_path / "large.png")


def gray_png(ids: np.ndarray, bits: int) -> bytes:
    """A gray PNG of 1, 2 or 4 bits a pixel, as no common library writes them but label tools do."""
    height, width = ids.shape
    per_byte = 8 // bits
    padded = np.pad(ids, ((0, 0), (0, -width % per_byte))).reshape(height, -1, per_byte).astype(int)
    packed = sum(padded[:, :, i] << (8 - bits * (i + 1)) for i in range(per_byte)).astype(np.uint8)
    rows = b"".join(b"\0" + row.tobytes() for row in packed)

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    signature = b"\x89PNG\r\n\x1a\n"
    return signature + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_masks_of_few_bits_keep_their_ids(tmp_path: Path, ids: np.ndarray, bits: int) -> None:
    (tmp_path / "mask.png").write_bytes(gray_png(ids % (1 << bits), bits))
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.png"), ids % (1 << bits))


def test_masks(tmp_path: Path, ids: np.ndarray) -> None:
    Image.fromarray(ids).save(tmp_path / "gray.png")
    palette_image = Image.fromarray(ids)
    palette_image.putpalette(list(range(33)))  # 11 colors: Pillow packs them into 4 bits
    palette_image.save(tmp_path / "palette.png")
    palette_image.save(tmp_path / "palette.bmp")
    for name in ("gray.png", "palette.png", "palette.bmp"):
        mask = read_mask(tmp_path / name)
        assert mask.dtype == np.uint8
        np.testing.assert_array_equal(mask, ids)
    deep = ids.astype(np.uint16) * 1000
    for suffix in ("png", "tif"):
        cv2.imwrite(str(tmp_path / f"deep.{suffix}"), deep)
        mask = read_mask(tmp_path / f"deep.{suffix}")
        assert mask.dtype == np.uint16
        np.testing.assert_array_equal(mask, deep)


def test_files_that_are_no_masks(tmp_path: Path, picture: np.ndarray) -> None:
    Image.fromarray(picture).save(tmp_path / "color.png")
    with pytest.raises(ImageError, match=r"must have one channel of class ids.*has the channels R, G, B"):
        read_mask(tmp_path / "color.png")
    Image.fromarray(picture[:, :, 0]).save(tmp_path / "lossy.jpg")
    with pytest.raises(ImageError, match="JPEG changes pixel values"):
        read_mask(tmp_path / "lossy.jpg")
    Image.fromarray(np.full((4, 4), 70000, np.int32)).save(tmp_path / "wide.tif")
    with pytest.raises(ImageError, match="class ids from 70000 to 70000; allowed are 0 to 65535"):
        read_mask(tmp_path / "wide.tif")


def test_reading_in_threads_leaves_the_filters_of_warnings_as_they_were(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    before = list(warnings.filters)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(read_image, [tmp_path / "a.png"] * 200))
    assert warnings.filters == before

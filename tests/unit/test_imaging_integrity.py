"""Damaged and cut-off image files are refused, even where decoders would return a picture; sound ones never are."""

from __future__ import annotations

import io
import subprocess
import sys
import zlib

import numpy as np
import pytest
from PIL import Image

from rapidseg.core.errors import ImageError
from rapidseg.imaging import decode_image, read_image, read_mask, to_image
from tests.support.image_bytes import SOUND, cut_with_end, encoded, overwritten, photo, rle_bmp

JPEGS = [name for name in SOUND if name.startswith("jpeg") and "of one" not in name]
DAMAGED = "the file is damaged or cut off|not a readable"


@pytest.mark.parametrize("name", SOUND)
def test_sound_files_are_accepted_as_decoders_read_them(name, tmp_path, capfd):
    content = SOUND[name]()
    pixels = decode_image(content)
    assert pixels.ndim == 3
    (tmp_path / "file").write_bytes(content)
    np.testing.assert_array_equal(read_image(tmp_path / "file"), pixels)
    np.testing.assert_array_equal(decode_image(content + b"bytes behind the end \xff\xd8\xff\xd9"), pixels)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 2}])
def test_sound_jpegs_of_any_size_and_quality_are_accepted(seed, options):
    rng = np.random.default_rng(seed)
    for _ in range(10):
        size_hw = int(rng.integers(1, 90)), int(rng.integers(1, 90))
        pixels = photo(size_hw, seed) if rng.integers(3) else np.full((*size_hw, 3), rng.integers(256), np.uint8)
        content = encoded(
            pixels, "JPEG", quality=int(rng.integers(1, 101)), subsampling=int(rng.integers(3)), **options
        )
        assert decode_image(content).shape == pixels.shape


@pytest.mark.parametrize("name", JPEGS)
@pytest.mark.parametrize("kept", [0.35, 0.5, 0.8, 0.95])
def test_jpegs_that_end_early_are_refused_with_or_without_an_end_marker(name, kept, capfd):
    content = SOUND[name]()
    length = content.index(b"\xff\xda") + 20 + int(kept * (len(content) - content.index(b"\xff\xda") - 60))
    for damaged in (content[:length], cut_with_end(content, length), cut_with_end(content, length) + bytes(50)):
        with pytest.raises(ImageError, match="encoded image: the file is damaged or cut off"):
            decode_image(damaged)
    assert capfd.readouterr().err == ""


def test_a_progressive_jpeg_without_its_last_scans_is_refused():
    content = encoded(photo(), "JPEG", progressive=True)
    scans = [i for i in range(len(content) - 1) if content[i : i + 2] == b"\xff\xda"]
    for scan in scans[1:]:
        tables = content.rfind(b"\xff\xc4", 0, scan)  # the tables before a scan belong to it
        with pytest.raises(
            ImageError, match=r"damaged or cut off \((its last scans are missing|a color channel|.*ends)"
        ):
            decode_image(cut_with_end(content, tables))


@pytest.mark.parametrize("options", [{}, {"restart_marker_rows": 1}])
def test_overwritten_bytes_in_a_jpeg_are_refused(options, capfd):
    rng = np.random.default_rng(4)
    content = encoded(photo((240, 320)), "JPEG", quality=85, **options)
    first = content.index(b"\xff\xda") + 20
    refused = 0
    for _ in range(60):
        start = int(rng.integers(first, len(content) - 100))
        try:
            decode_image(overwritten(content, rng, start=start))
        except ImageError as error:
            refused += "damaged" in str(error)
    # Codes that happen to fit are as good as others: a decoder cannot know them either.
    assert refused >= 45


def test_restart_markers_are_counted():
    content = encoded(photo(), "JPEG", restart_marker_rows=1)
    marker = content.index(b"\xff\xd3")
    for damaged in (content[:marker] + b"\xff\xd5" + content[marker + 2 :], content[:marker] + content[marker + 2 :]):
        with pytest.raises(ImageError, match="damaged"):
            decode_image(damaged)


@pytest.mark.parametrize("factor", [0.5, 3])
def test_a_jpeg_with_two_frames_is_refused(factor):
    content = encoded(photo(), "JPEG")
    frame = content.index(b"\xff\xc0")
    other = bytearray(content[frame : frame + 19])
    other[5:9] = int(120 * factor).to_bytes(2, "big") + int(160 * factor).to_bytes(2, "big")
    scan = content.index(b"\xff\xda")
    for damaged in (content[:-2] + bytes(other) + b"\xff\xd9", content[:scan] + bytes(other) + content[scan:]):
        with pytest.raises(ImageError, match="damaged"):
            decode_image(damaged)


def test_padding_and_a_spare_byte_in_a_jpeg_are_accepted():
    content = encoded(photo(), "JPEG")
    pixels = decode_image(content)
    for spare in (b"\0", bytes(9), b"\x35", b"\xff\xff\xff"):
        np.testing.assert_array_equal(decode_image(content[:-2] + spare + b"\xff\xd9"), pixels)


def test_pngs_are_checked_by_their_checksums_and_their_end():
    content = encoded(photo(), "PNG")
    rows = content.index(b"IDAT") + 4
    wrong = [
        content[: rows + 100] + bytes([content[rows + 100] ^ 1]) + content[rows + 101 :],
        content[:-12],
        content[:-1],
        content[:-12] + b"\0\0\0\0IEND????",
        content[:33] + content[-12:],  # no rows
    ]
    for damaged in wrong:
        with pytest.raises(ImageError, match=DAMAGED):
            decode_image(damaged)


def test_a_png_whose_rows_decompress_in_spite_of_damage_is_refused():
    flat = bytearray(encoded(photo(), "PNG", compress_level=0))
    middle = len(flat) // 2
    flat[middle] ^= 0x55  # stored, not compressed, so every byte is possible
    with pytest.raises(ImageError, match="the checksum of the chunk at byte"):
        decode_image(bytes(flat))


def test_a_damaged_text_in_a_png_does_not_matter():
    text = b"tEXtComment\0hello"
    chunk = len(text[4:]).to_bytes(4, "big") + text + (zlib.crc32(text) ^ 1).to_bytes(4, "big")
    content = encoded(photo(), "PNG")
    assert decode_image(content[:-12] + chunk + content[-12:]).shape == (120, 160, 3)


@pytest.mark.parametrize("name", [name for name in SOUND if not name.startswith("jpeg")])
@pytest.mark.parametrize("kept", [0.5, 0.9])
@pytest.mark.filterwarnings("ignore::UserWarning")  # pytest replaces the filter that imaging sets
def test_other_formats_that_end_early_are_refused(name, kept):
    content = SOUND[name]()
    with pytest.raises(ImageError, match=DAMAGED):
        decode_image(content[: int(kept * len(content))])


def test_damaged_jpegs_in_tiffs_are_refused():
    rng = np.random.default_rng(0)
    content = encoded(photo((200, 300)), "TIFF", compression="jpeg", quality=90)
    for start in (2000, 4000, 6000):
        with pytest.raises(ImageError, match="damaged"):
            decode_image(overwritten(content, rng, start=start))


def test_pictures_that_are_open_in_pillow_are_checked_as_well():
    damaged = cut_with_end(encoded(photo(), "JPEG"), 3000)
    with (
        Image.open(io.BytesIO(damaged)) as image,
        pytest.raises(ImageError, match=r"cannot be converted .*ends before"),
    ):
        to_image(image)
    with Image.open(io.BytesIO(encoded(photo(), "JPEG"))) as image:
        first = to_image(image)
        np.testing.assert_array_equal(to_image(image), first)  # read already


def test_masks_are_checked_as_well(tmp_path):
    content = encoded(photo()[:, :, 0] // 30, "PNG")
    (tmp_path / "mask.png").write_bytes(content[:-12])
    with pytest.raises(ImageError, match="IEND, is missing"):
        read_mask(tmp_path / "mask.png")


def test_decoders_print_nothing_about_damage(tmp_path):
    (tmp_path / "cut.jpg").write_bytes(cut_with_end(encoded(photo(), "JPEG"), 3000))
    code = "import sys; from rapidseg.imaging import read_image\ntry: read_image(sys.argv[1])\nexcept ValueError: pass"
    run = subprocess.run([sys.executable, "-c", code, tmp_path / "cut.jpg"], capture_output=True, check=True)
    assert run.stderr == b""


def test_run_length_encoded_bmps():
    ids = np.random.default_rng(0).integers(0, 16, (6, 7))
    runs = b"".join(b"".join(bytes([1, value]) for value in row) + b"\0\0" for row in ids[::-1]) + b"\0\1"
    colors = np.stack([ids, 255 - ids, 7 * ids % 256], axis=2)
    np.testing.assert_array_equal(decode_image(rle_bmp((6, 7), runs)), colors)
    literal = b"".join(bytes([0, 7, *row, 0]) + b"\0\0" for row in ids[::-1]) + b"\0\1"
    np.testing.assert_array_equal(decode_image(rle_bmp((6, 7), literal)), colors)
    packed = b"".join(
        bytes([0, 7, *(row[i] << 4 | (row[i + 1] if i < 6 else 0) for i in range(0, 7, 2))]) + b"\0\0"
        for row in ids[::-1]
    )
    np.testing.assert_array_equal(decode_image(rle_bmp((6, 7), packed + b"\0\1", bits=4)), colors)
    halves = decode_image(rle_bmp((1, 5), b"\x05\x3a\0\0\0\1", bits=4))[0, :, 0]
    assert halves.tolist() == [3, 10, 3, 10, 3]
    moved = decode_image(rle_bmp((3, 4), b"\0\2\x01\x01\x02\x05\0\0\0\0\0\1"))[:, :, 0]
    assert moved.tolist() == [[0, 0, 0, 0], [0, 5, 5, 0], [0, 0, 0, 0]]


@pytest.mark.parametrize("data", [b"", b"\x05", b"\x05\x01\0\0", b"\0\0\0\1", b"\0\x05\1\2", b"\0\2\1", b"\0\1"])
def test_run_length_encoded_bmps_that_end_early_are_refused(data):
    with pytest.raises(ImageError, match=r"its run-length encoded data ends in row [12] of 6"):
        decode_image(rle_bmp((6, 7), data))

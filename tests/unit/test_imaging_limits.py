"""Sizes, memory and time are bounded, whatever a file says about itself; the user can raise the bound on pixels."""

from __future__ import annotations

import io
import os
import sys
import threading
import time

import numpy as np
import pytest
from PIL import Image, ImageFile

from rapidseg.core.budget import OrderedBudget
from rapidseg.core.errors import ImageError, InputError
from rapidseg.core.out_of_memory import is_out_of_memory
from rapidseg.imaging import (
    decode_image,
    encode_jpeg,
    image_files,
    input_size_hw,
    limits,
    peek_pixels,
    read_image,
    read_mask,
    resize_image,
    to_image,
)
from rapidseg.imaging.integrity import HEADER_BYTES, webp_size_hw
from rapidseg.imaging.limits import MAX_PIXELS_VARIABLE, decoding, max_pixels
from tests.support.image_bytes import encoded, photo, rle_bmp


@pytest.fixture
def few_pixels(monkeypatch):
    """Images of up to 1,000 pixels are read."""
    monkeypatch.setenv(MAX_PIXELS_VARIABLE, "1000")


def open_in_pillow(path):
    with Image.open(path) as image:
        return to_image(image)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF"])
def test_images_with_more_pixels_than_the_limit_are_refused(kind, tmp_path, few_pixels):
    (tmp_path / "large").write_bytes(encoded(photo((40, 30)), kind))
    (tmp_path / "small").write_bytes(encoded(photo((40, 25)), kind))
    message = r"too large with 40x30 pixels; .* 0\.001 million pixels .* set RAPIDSEG_MAX_PIXELS=1200 if memory allows"
    for function in (read_image, lambda path: decode_image(path.read_bytes()), open_in_pillow):
        with pytest.raises(ImageError, match=message):
            function(tmp_path / "large")
        assert function(tmp_path / "small").shape == (40, 25, 3)


def test_masks_with_more_pixels_than_the_limit_are_refused(tmp_path, few_pixels):
    (tmp_path / "mask.png").write_bytes(encoded(photo((40, 30))[:, :, 0], "PNG"))
    with pytest.raises(ImageError, match=r"mask\.png: too large"):
        read_mask(tmp_path / "mask.png")


def test_a_few_kilobytes_that_claim_a_huge_picture_take_neither_memory_nor_time(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    huge = Image.new("1", (12_000, 12_000))
    (tmp_path / "bits.png").write_bytes(encoded(huge, "PNG"))
    start = time.perf_counter()
    with pytest.raises(ImageError, match=r"bits\.png: too large with 12000x12000 pixels"):
        read_image(tmp_path / "bits.png")
    assert time.perf_counter() - start < 1


def test_the_limit_can_be_raised_above_the_one_of_pillow(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)
    (tmp_path / "large.png").write_bytes(encoded(photo((40, 30)), "PNG"))
    with pytest.raises(ImageError, match=r"large\.png: too large; .* tile it, or raise the limit: RAPIDSEG_MAX_PIXELS"):
        read_image(tmp_path / "large.png")
    monkeypatch.setenv(MAX_PIXELS_VARIABLE, "1_200")
    assert read_image(tmp_path / "large.png").shape == (40, 30, 3)


@pytest.mark.parametrize("text", ["many", "-1", "0", "1.5", "9" * 40, "1e9"])
def test_a_wrong_limit_is_named(text, monkeypatch):
    monkeypatch.setenv(MAX_PIXELS_VARIABLE, text)
    with pytest.raises(InputError, match=r"RAPIDSEG_MAX_PIXELS is .*; set it to the number of pixels"):
        max_pixels()


@pytest.mark.parametrize("size_hw", [(1, 4000), (4000, 1), (2, 2200), (3000, 1), (1, 65_500), (7, 30_000), (1, 1)])
@pytest.mark.parametrize("input_size", [None, 32, 544, 1024, 2048])
def test_lines_are_not_enlarged_without_bound(size_hw, input_size):
    height, width = input_size_hw(size_hw, input_size, stride=32)
    assert min(height, width) >= 32
    assert height * width <= 1.01 * (1 << 23)


@pytest.mark.parametrize(
    ("size_hw", "input_size", "expected"),
    [
        ((1024, 2048), 512, (512, 1024)),
        ((720, 1280), 1024, (1024, 1824)),
        ((300, 2000), 512, (512, 3424)),  # a panorama
        ((4000, 8000), 4096, (4096, 8192)),
        ((100, 100), 4096, (4096, 4096)),
    ],
)
def test_other_images_are_seen_at_the_input_size(size_hw, input_size, expected):
    assert input_size_hw(size_hw, input_size, stride=32) == expected


@pytest.mark.parametrize("input_size", [99_999, (99_999, 99_999), (32, 9_999_999), "20000x20000"])
def test_input_sizes_that_make_the_network_see_too_much_are_refused(input_size):
    message = r"the network would see the image of 600x800 pixels.* at most 134 million pixels.*smaller input"
    with pytest.raises(InputError, match=message):
        input_size_hw((600, 800), input_size, 32)


def test_nothing_is_resized_to_more_pixels_than_the_limit():
    with pytest.raises(InputError, match=r"as 99999x99999, but at most 134 million pixels"):
        resize_image(photo(), (99_999, 99_999))


@pytest.mark.parametrize("size_hw", [(1, 60_000), (60_000, 1), (3, 20_000)])
def test_pretraining_sees_the_middle_of_a_line(size_hw):
    pytest.importorskip("torch")
    from rapidseg.pretraining.batches import _middle

    image = np.zeros((*size_hw, 3), np.uint8)
    image[size_hw[0] // 2, size_hw[1] // 2] = 255
    start = time.perf_counter()
    view = _middle(image, (64, 64))
    assert time.perf_counter() - start < 1
    assert view.shape == (64, 64, 3)
    assert view.max() > 0


def test_pictures_that_no_jpeg_can_hold_are_refused():
    with pytest.raises(InputError, match=r"a JPEG file has at most 65500 pixels a side, .* 2x65501; save it as \.png"):
        encode_jpeg(np.zeros((2, 65_501, 3), np.uint8))


def test_time_of_run_length_encoded_bmps_depends_on_their_bytes():
    start = time.perf_counter()
    with pytest.raises(ImageError, match="ends in row 1001 of 8000"):
        decode_image(rle_bmp((8000, 8000), b"\0\0" * 1000))
    with pytest.raises(ImageError, match="ends in row 1 of 8000"):
        decode_image(rle_bmp((8000, 8000), b"\xff\x12" * 500, bits=4))
    assert time.perf_counter() - start < 2


def test_time_of_jpegs_does_not_grow_with_empty_scans():
    content = encoded(photo((64, 64)), "JPEG", progressive=True)
    size = content.index(b"\xff\xc2") + 5
    huge = bytearray(content)
    huge[size : size + 4] = (9000).to_bytes(2, "big") * 2
    scan = content[content.index(b"\xff\xda") : content.index(b"\xff\xc4", content.index(b"\xff\xda"))]
    start = time.perf_counter()
    with pytest.raises(ImageError, match=r"it has .* scans"):
        decode_image(bytes(huge[:-2]) + scan * 400 + b"\xff\xd9")
    assert time.perf_counter() - start < 2


@pytest.mark.parametrize("error", [MemoryError(), OSError("broken data stream"), OSError("out of memory error")])
def test_too_little_memory_is_never_called_damage(error, monkeypatch, tmp_path):
    def fail(*_):
        raise error

    (tmp_path / "a.png").write_bytes(encoded(photo(), "PNG"))
    monkeypatch.setattr(ImageFile.ImageFile, "load", fail)
    expected = "the file is damaged" if "stream" in str(error) else "not enough memory to read it"
    with pytest.raises(ImageError, match=rf"a\.png: {expected}"):
        read_image(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image, pytest.raises(ImageError, match="PIL image"):
        to_image(image)


def test_errors_of_libraries_that_ran_out_of_memory_are_recognized():
    import cv2

    assert is_out_of_memory(cv2.error("(-4:Insufficient memory) Failed to allocate 9 bytes"))
    assert is_out_of_memory(RuntimeError("std::bad_alloc"))
    wrapped = ValueError("cannot read it")
    wrapped.__cause__ = MemoryError()
    assert is_out_of_memory(wrapped)
    assert not is_out_of_memory(ValueError("truncated"))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such files")
def test_devices_pipes_and_folders_are_named(tmp_path):
    with pytest.raises(ImageError, match="/dev/zero is a device, pipe or socket, not an image file"):
        read_image("/dev/zero")
    with pytest.raises(ImageError, match="is a folder"):
        read_image(tmp_path)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    threading.Thread(target=lambda: pipe.write_bytes(encoded(photo(), "PNG"))).start()
    assert read_image(pipe).shape == (120, 160, 3)


def test_rows_of_large_pictures_are_converted_in_bands(monkeypatch):
    monkeypatch.setattr(image_files, "_BAND_PIXELS", 500)
    for mode in ("1", "L", "P", "LA", "RGB", "RGBA", "CMYK", "I;16"):
        image = Image.fromarray(photo((37, 41)))
        image = image.quantize(8) if mode == "P" else image.convert("L").convert(mode) if mode == "I;16" else image
        content = encoded(image.convert(mode), "TIFF")
        with monkeypatch.context() as whole:
            whole.setattr(image_files, "_BAND_PIXELS", 1 << 22)
            expected = decode_image(content)
        np.testing.assert_array_equal(decode_image(content), expected)


def test_large_images_are_not_decoded_at_once(monkeypatch):
    monkeypatch.setattr(limits, "_SMALL", 0)
    monkeypatch.setattr(limits, "_MAX_DECODED_AT_ONCE", 100)
    inside, most = [], []

    def decode(size_hw):
        with decoding(size_hw):
            inside.append(size_hw[0] * size_hw[1])
            most.append((sum(inside), len(inside)))
            time.sleep(0.002)
            inside.remove(size_hw[0] * size_hw[1])

    sizes = [(6, 10), (6, 10), (50, 10), (2, 10), (7, 10), (3, 10), (90, 90)] * 3
    threads = [threading.Thread(target=decode, args=(size,)) for size in sizes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(most) == len(sizes)
    assert all(pixels <= 100 or number == 1 for pixels, number in most)


def test_a_budget_lets_items_begin_in_order_and_within_its_limit():
    budget, begun = OrderedBudget(10), []

    def begin(index, size):
        budget.acquire(index, size)
        begun.append(index)

    threads = [threading.Thread(target=begin, args=pair) for pair in ((2, 50), (1, 4), (0, 6), (3, 1))]
    for thread in threads:
        thread.start()
        time.sleep(0.01)
    assert begun == [0, 1]
    budget.release(0)
    budget.release(1)
    threads[0].join(5)
    assert begun == [0, 1, 2]  # larger than the limit, so alone
    budget.release(2)
    threads[3].join(5)
    assert begun == [0, 1, 2, 3]
    late = threading.Thread(target=budget.acquire, args=(4, 100))
    late.start()
    budget.close()
    late.join(5)
    assert not late.is_alive()


def test_files_of_more_bytes_than_any_picture_are_refused(tmp_path, few_pixels):
    (tmp_path / "long.png").write_bytes(encoded(photo((20, 20)), "PNG") + bytes(20_000))
    with pytest.raises(ImageError, match=r"long\.png: the file has more than 16000 bytes"):
        read_image(tmp_path / "long.png")
    assert to_image(Image.open(io.BytesIO(encoded(photo((20, 20)), "PNG")))).shape == (20, 20, 3)


@pytest.mark.parametrize("options", [{}, {"lossless": True}, {"exif": b"Exif\0\0", "lossless": True}])
def test_the_size_of_a_webp_is_known_before_pillow_takes_memory_for_it(options, tmp_path, monkeypatch):
    path = tmp_path / "a.webp"
    Image.new("RGB", (70, 40)).save(path, **options)
    assert webp_size_hw(path.read_bytes()[:HEADER_BYTES]) == (40, 70)
    assert peek_pixels(path) == peek_pixels(path.read_bytes()) == 2800
    monkeypatch.setenv("RAPIDSEG_MAX_PIXELS", "2799")
    monkeypatch.setattr(Image, "open", lambda *_, **__: pytest.fail("Pillow was asked"))
    for read in (read_image, read_mask):
        with pytest.raises(ImageError, match="too large with 40x70 pixels"):
            read(path)
    with pytest.raises(ImageError, match="too large with 40x70 pixels"):
        decode_image(path.read_bytes())


@pytest.mark.parametrize("start", [b"", b"RIFF\0\0\0\0WEBP", b"RIFF\0\0\0\0WEBPVP8 " + bytes(20), b"RIFF" + bytes(40)])
def test_what_is_not_a_webp_has_no_size(start):
    assert webp_size_hw(start) is None

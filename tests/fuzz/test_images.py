"""Damaged image files, by the thousand: each is read or refused in one sentence, in bounded time and memory.

The same seed gives the same files. A file that breaks the rule stays in the temporary folder of the test.
"""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rapidseg.core.errors import ImageError
from rapidseg.imaging import decode_image, from_pillow, peek_pixels, read_image, read_mask
from tests.fuzz.image_inputs import image_files
from tests.support.fuzzing import Tally, check_message, check_tally, run_inputs

MASK_SHARE = 5  # every fifth file is also read as a mask, and opened in Pillow
SUFFIXES = (".jpg", ".png", ".tif", "")
MAX_SECONDS = 5  # per file, on a busy machine
MAX_PIXELS = 4_000_000  # so that a header with a large size does not hide growing memory

pytestmark = pytest.mark.filterwarnings("ignore")  # pytest replaces the filter that imaging sets


def attempt(number: int, path: Path) -> str:
    """Reads a file in every way there is, and says what came of it."""
    content = path.read_bytes()
    if number % MASK_SHARE == 0:
        with contextlib.suppress(ImageError):
            assert read_mask(path).ndim == 2
        pillow = _open(content)
        if pillow is not None:
            with contextlib.suppress(ImageError):
                assert from_pillow(pillow).dtype == np.uint8
    pixels = read_image(path)
    assert pixels.dtype == np.uint8
    assert pixels.shape[2] == 3
    assert pixels.shape[0] * pixels.shape[1] <= MAX_PIXELS
    np.testing.assert_array_equal(decode_image(content), pixels)
    return "accepted"


def _open(content: bytes) -> Image.Image | None:
    """Opens a file as a user of Pillow does, if Pillow can; its pixels are not read yet."""
    if peek_pixels(content) > MAX_PIXELS:  # Pillow would take memory for it
        return None
    try:
        return Image.open(io.BytesIO(content), formats=("JPEG", "PNG", "WEBP", "BMP", "TIFF"))
    except Exception:  # what Pillow raises for damaged headers has nothing to do with us
        return None


def run(folder: Path, seed: int, count: int) -> Tally:
    """Reads `count` damaged files one after the other."""
    tally = run_inputs(
        image_files(seed, count),
        attempt,
        folder=folder,
        names=lambda number: f"image{SUFFIXES[number % len(SUFFIXES)]}",
        max_seconds=MAX_SECONDS,
        label=f"{seed}-",
    )
    check_tally(tally)
    return tally


@pytest.fixture(autouse=True)
def few_pixels(monkeypatch):
    monkeypatch.setenv("RAPIDSEG_MAX_PIXELS", str(MAX_PIXELS))


def test_damaged_images_are_read_or_refused(tmp_path):
    run(tmp_path, seed=1, count=1500)


@pytest.mark.fuzz
@pytest.mark.parametrize("seed", range(3))
def test_many_damaged_images_are_read_or_refused(seed, tmp_path):
    print(run(tmp_path, seed=100 + seed, count=10_000).to_json())  # noqa: T201


def test_messages_about_bytes_are_one_sentence():
    for _, content in image_files(seed=7, count=200):
        try:
            decode_image(content)
        except ImageError as error:
            check_message(error)

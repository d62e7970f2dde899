"""How large an image may be, and how many pixels may be under way at once."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator

from PIL import Image

from rapidseg.core.errors import ImageError, InputError
from rapidseg.core.sizes import format_size

MAX_PIXELS_VARIABLE = "RAPIDSEG_MAX_PIXELS"
"""Environment variable that replaces `DEFAULT_MAX_PIXELS`."""

DEFAULT_MAX_PIXELS = 1 << 27
"""134 million pixels, more than all but a few cameras have; reading such an image takes up to 1.5 GB of memory."""

_MILLION = 1_000_000

# Pixels of all images that threads decode at once, at 4 to 11 bytes each. A larger image is decoded alone.
_MAX_DECODED_AT_ONCE = 1 << 26
_SMALL = 1 << 22  # pixels of an image that need not wait


def max_pixels() -> int:
    """Returns the largest number of pixels that an image, or the network's view of it, may have.

    Raises:
        InputError: the environment variable is not a whole number above 0.
    """
    text = os.environ.get(MAX_PIXELS_VARIABLE, "").strip().replace("_", "")
    if not text:
        return DEFAULT_MAX_PIXELS
    if not (text.isascii() and text.isdecimal() and len(text) <= 15 and int(text)):
        raise InputError(
            f"{MAX_PIXELS_VARIABLE} is {text[:40]!r}; set it to the number of pixels that an image may have, such as "
            f"{DEFAULT_MAX_PIXELS}, or unset it"
        )
    return int(text)


def check_pixels(name: str, size_hw: tuple[int, int]) -> None:
    """Raises `ImageError` if an image has more pixels than `max_pixels`."""
    pixels, allowed = size_hw[0] * size_hw[1], max_pixels()
    if pixels > allowed:
        raise ImageError(
            f"{name}: too large with {format_size(size_hw)} pixels; images of up to {allowed / _MILLION:.3g} million "
            f"pixels are read; tile it, or set {MAX_PIXELS_VARIABLE}={pixels} if memory allows about "
            f"{max(1, round(pixels / 1e8))} GB"
        )


def raise_pillow_limit() -> None:
    """Raises Pillow's own limit where the user has set a higher one."""
    if os.environ.get(MAX_PIXELS_VARIABLE) and Image.MAX_IMAGE_PIXELS is not None:
        Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS, max_pixels() // 2 + 1)


class _Decoding:
    """How many pixels of large images are being decoded."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.pixels = 0


_decoding = _Decoding()


def _reset_decoding() -> None:
    global _decoding
    _decoding = _Decoding()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_decoding)  # the threads that held it do not exist in the child


@contextlib.contextmanager
def decoding(size_hw: tuple[int, int]) -> Iterator[None]:
    """Bounds the memory of all threads that decode images: large ones wait for each other."""
    pixels, state = size_hw[0] * size_hw[1], _decoding
    if pixels <= _SMALL:
        yield
        return
    with state.changed:
        state.changed.wait_for(lambda: state.pixels == 0 or state.pixels + pixels <= _MAX_DECODED_AT_ONCE)
        state.pixels += pixels
    try:
        yield
    finally:
        with state.changed:
            state.pixels -= pixels
            state.changed.notify_all()

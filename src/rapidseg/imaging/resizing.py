"""Resizing, defined once for prediction, evaluation and the validation of training runs."""

from __future__ import annotations

import cv2
import numpy as np

from rapidseg.core.errors import InputError
from rapidseg.core.sizes import InputSizeLike, format_input_size, format_size, to_input_size
from rapidseg.imaging.limits import MAX_PIXELS_VARIABLE, max_pixels

MINIMUM_SIDE = 32  # pixels; smaller inputs vanish in the strides of the networks
# An image that is a line would become millions of pixels long if its short side were enlarged to the input size. Where
# the longer side is at least 8 times the shorter one, and the network would see more than so many pixels, the longer
# side is enlarged to 8192 pixels at most.
_LINE_RATIO, _MAX_LINE_PIXELS, _MAX_LINE_SIDE = 8, 1 << 23, 8192


def resize_image(image: np.ndarray, size_hw: tuple[int, int]) -> np.ndarray:
    """Resizes an image; one that already has the size is returned as it is.

    Bilinear, with pixel centers at half positions. Where a side shrinks to less than half and neither grows, each
    output pixel is the mean of its area instead, because bilinear sampling would skip pixels and alias. At exactly
    half, both are equal.

    Args:
        image: (H, W, 3) or (H, W) uint8.
        size_hw: the new height and width.

    Returns:
        (height, width, 3) or (height, width) uint8.

    Raises:
        InputError: the new size has more pixels than `rapidseg.imaging.limits.max_pixels`.
    """
    height, width = image.shape[:2]
    if (height, width) == tuple(size_hw):
        return image
    check_network_size((size_hw[0], size_hw[1]), (height, width))
    new_height, new_width = size_hw
    shrinks = new_height <= height and new_width <= width
    skips = 2 * new_height < height or 2 * new_width < width
    interpolation = cv2.INTER_AREA if shrinks and skips else cv2.INTER_LINEAR
    return cv2.resize(np.ascontiguousarray(image), (new_width, new_height), interpolation=interpolation)


def input_size_hw(image_size_hw: tuple[int, int], input_size: InputSizeLike | None, stride: int = 1) -> tuple[int, int]:
    """Returns the (height, width) at which a network sees an image.

    Args:
        image_size_hw: the image's own size.
        input_size: pixels of the shorter side, where the aspect ratio is kept up to rounding to multiples of `stride`;
            or (height, width), used exactly; either also as text; or None, the image's own size. An image with
            few pixels in one direction, such as a line, is enlarged less, to a longer side of at most 8192 pixels or
            its own.
        stride: input pixels per pixel of the logits.

    Returns:
        Two sides of at least `MINIMUM_SIDE` pixels.

    Raises:
        InputError: `input_size` is not a size, or has a side below `MINIMUM_SIDE`; or the network would see more pixels
            than `rapidseg.imaging.limits.max_pixels`.
    """
    height, width = image_size_hw
    if input_size is None:
        return check_network_size((max(MINIMUM_SIDE, height), max(MINIMUM_SIDE, width)), image_size_hw)
    input_size = to_input_size(input_size)
    if (input_size if isinstance(input_size, int) else min(input_size)) < MINIMUM_SIDE:
        raise InputError(
            f"input size {input_size} is not allowed; pass the shorter side or (height, width), "
            f"each {MINIMUM_SIDE} pixels or more"
        )
    if not isinstance(input_size, int):
        return check_network_size(input_size, image_size_hw)
    min_side = -(-MINIMUM_SIDE // stride) * stride
    scale = input_size / min(height, width)
    longest, is_line = max(height, width), max(height, width) >= _LINE_RATIO * min(height, width)
    if scale > 1 and is_line and height * width * scale**2 > _MAX_LINE_PIXELS:
        scale = min(scale, max(longest, _MAX_LINE_SIDE) / longest)
    size_hw = (
        max(min_side, round(height * scale / stride) * stride),
        max(min_side, round(width * scale / stride) * stride),
    )
    return check_network_size(size_hw, image_size_hw, f" at the input size {format_input_size(input_size)}")


def check_network_size(size_hw: tuple[int, int], image_size_hw: tuple[int, int], setting: str = "") -> tuple[int, int]:
    """Returns the size at which a network is to see an image.

    Args:
        size_hw: that size.
        image_size_hw: the image's own size.
        setting: where the size comes from, for the message.

    Raises:
        InputError: it has more pixels than `rapidseg.imaging.limits.max_pixels`.
    """
    pixels, allowed = size_hw[0] * size_hw[1], max_pixels()
    if pixels > allowed:
        raise InputError(
            f"the network would see the image of {format_size(image_size_hw)} pixels{setting} as "
            f"{format_size(size_hw)}, but at most {allowed / 1e6:.3g} million pixels are allowed; use a smaller input "
            f"size, crop or tile the image, or set {MAX_PIXELS_VARIABLE}={pixels} if memory allows"
        )
    return size_hw

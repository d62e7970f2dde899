"""Resizing, defined once for prediction, evaluation and the validation of training runs."""

from __future__ import annotations

import cv2
import numpy as np

from rapidseg.core.errors import InputError
from rapidseg.core.sizes import InputSizeLike, to_input_size

MINIMUM_SIDE = 32  # pixels; smaller inputs vanish in the strides of the networks


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
    """
    height, width = image.shape[:2]
    if (height, width) == tuple(size_hw):
        return image
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
            or (height, width), used exactly; either also as text; or None, the image's own size.
        stride: input pixels per pixel of the logits.

    Returns:
        Two sides of at least `MINIMUM_SIDE` pixels.

    Raises:
        InputError: `input_size` is not a size, or has a side below `MINIMUM_SIDE`.
    """
    height, width = image_size_hw
    if input_size is None:
        return max(MINIMUM_SIDE, height), max(MINIMUM_SIDE, width)
    input_size = to_input_size(input_size)
    if (input_size if isinstance(input_size, int) else min(input_size)) < MINIMUM_SIDE:
        raise InputError(
            f"input size {input_size} is not allowed; pass the shorter side or (height, width), "
            f"each {MINIMUM_SIDE} pixels or more"
        )
    if not isinstance(input_size, int):
        return input_size
    min_side = -(-MINIMUM_SIDE // stride) * stride
    scale = input_size / min(height, width)
    return (
        max(min_side, round(height * scale / stride) * stride),
        max(min_side, round(width * scale / stride) * stride),
    )

"""One definition of resizing, for prediction, evaluation and training's validation alike."""

from __future__ import annotations

import cv2
import numpy as np

from rapidseg.core.errors import InputError

MINIMUM_SIDE = 32  # pixels; smaller inputs vanish in the strides of the networks


def resize_image(image: np.ndarray, size_hw: tuple[int, int]) -> np.ndarray:
    """Resizes (H, W, 3) or (H, W) uint8 to `size_hw`; an image that already has that size comes back as it is.

    Bilinear, with pixel centers at half positions. Where a side shrinks to less than half and neither grows, each
    output pixel is the mean of its area instead, because bilinear sampling would skip pixels and see noise; at
    exactly half both are the same.
    """
    height, width = image.shape[:2]
    if (height, width) == tuple(size_hw):
        return image
    new_height, new_width = size_hw
    shrinks = new_height <= height and new_width <= width
    skips = 2 * new_height < height or 2 * new_width < width
    interpolation = cv2.INTER_AREA if shrinks and skips else cv2.INTER_LINEAR
    return cv2.resize(np.ascontiguousarray(image), (new_width, new_height), interpolation=interpolation)


def input_size_hw(
    image_size_hw: tuple[int, int], input_size: int | tuple[int, int] | None, stride: int = 1
) -> tuple[int, int]:
    """Returns the (height, width) at which a network sees an image.

    Args:
        image_size_hw: the image's own size.
        input_size: pixels of the shorter side, the shape being kept but for rounding to multiples of `stride`;
            or (height, width), taken as given; or None, the image's own size.
        stride: input pixels for each pixel of the logits.

    Every side comes out as `MINIMUM_SIDE` pixels or more.

    Raises:
        InputError: `input_size` asks for a side below `MINIMUM_SIDE`.
    """
    height, width = image_size_hw
    if input_size is None:
        return max(MINIMUM_SIDE, height), max(MINIMUM_SIDE, width)
    sides = (input_size,) if isinstance(input_size, int) else input_size
    if len(sides) not in (1, 2) or min(sides) < MINIMUM_SIDE:
        raise InputError(
            f"input size {input_size} is not allowed; give the shorter side or (height, width), "
            f"each {MINIMUM_SIDE} pixels or more"
        )
    if not isinstance(input_size, int):
        return input_size
    least = -(-MINIMUM_SIDE // stride) * stride
    scale = input_size / min(height, width)
    return (
        max(least, round(height * scale / stride) * stride),
        max(least, round(width * scale / stride) * stride),
    )

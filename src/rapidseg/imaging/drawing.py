"""Class maps drawn in colors."""

from __future__ import annotations

import functools

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from rapidseg.core.errors import InputError
from rapidseg.core.labels import LabelSet
from rapidseg.core.sizes import format_size
from rapidseg.imaging.counting import count_pixels

_MIN_TEXT_HEIGHT = 13  # pixels; smaller text is illegible


def overlay(image: np.ndarray, class_map: np.ndarray, palette: np.ndarray, alpha: float = 0.5) -> np.ndarray:
    """Blends the colors of a class map into an image: `(1 - alpha) * image + alpha * colors`.

    Args:
        image: (H, W, 3) uint8 RGB.
        class_map: (H, W) uint8.
        palette: (K, 3) uint8 RGB, K up to 256; further ids are black.
        alpha: 0 shows the image alone, 1 the colors alone.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        InputError: the two differ in size, or `alpha` is not between 0 and 1.
    """
    if image.shape[:2] != class_map.shape:
        raise InputError(
            f"the image is {format_size(image.shape)} but the class map is {format_size(class_map.shape)} "
            "(height x width); pass the image that the class map was computed from"
        )
    if not 0 <= alpha <= 1:
        raise InputError(f"alpha is {alpha}; it must be between 0 and 1")
    table = np.zeros((256, 1, 3), np.uint8)
    table[: len(palette), 0] = palette
    colors = cv2.applyColorMap(np.ascontiguousarray(class_map), table)
    return cv2.addWeighted(np.ascontiguousarray(image), 1 - alpha, colors, alpha, 0, dst=colors)


def add_legend(image: np.ndarray, labels: LabelSet, class_map: np.ndarray) -> np.ndarray:
    """Adds a strip below an image that shows the color and name of each class in `class_map`.

    The strip is below the image, not on it, so that it hides nothing and its text stays legible. A narrow image gets a
    white margin on the right.

    Args:
        image: (H, W, 3) uint8 RGB.
        class_map: (H, W) uint8; ids that belong to no class get no entry.

    Returns:
        (H + strip, W or more, 3) uint8 RGB.
    """
    height, width = image.shape[:2]
    present = np.flatnonzero(count_pixels(class_map)[: labels.num_classes])
    classes = tuple((labels.names[i], labels.palette[i]) for i in present)
    text_height = max(_MIN_TEXT_HEIGHT, min(height, width) // 32)
    strip = _legend(classes, text_height, width)
    canvas = np.empty((height + strip.shape[0], strip.shape[1], 3), np.uint8)
    canvas[:height, :width] = image
    canvas[:height, width:] = 255
    canvas[height:] = strip
    return canvas


@functools.lru_cache(maxsize=16)  # consecutive images of a stream mostly show the same classes
def _legend(classes: tuple[tuple[str, tuple[int, int, int]], ...], text_height: int, width: int) -> np.ndarray:
    """Returns a strip with names and colors, (strip, W or more, 3) uint8 RGB; callers must not modify it."""
    font = ImageFont.load_default(text_height)
    pad = text_height // 2
    widest = max((font.getlength(name) for name, _ in classes), default=0)
    cell_width = int(widest) + text_height + 3 * pad
    strip_width = max(width, cell_width + pad)
    columns = (strip_width - pad) // cell_width
    rows = -(-len(classes) // columns)
    row_height = text_height + pad
    strip = Image.new("RGB", (strip_width, rows * row_height + pad), "white")
    draw = ImageDraw.Draw(strip)
    for index, (name, color) in enumerate(classes):
        left = pad + index % columns * cell_width
        top = pad + index // columns * row_height
        box = (left, top, left + text_height - 1, top + text_height - 1)
        draw.rectangle(box, fill=color, outline="black")
        draw.text((left + text_height + pad, top + text_height / 2), name, "black", font, anchor="lm")
    return np.array(strip)

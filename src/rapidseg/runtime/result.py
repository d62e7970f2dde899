"""What segmenting one image gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rapidseg.core.labels import LabelSet
from rapidseg.imaging import count_pixels, overlay


@dataclass(frozen=True, eq=False)
class Result:
    """The class map of one image, and how it came about.

    Where the image was a PyTorch tensor on a device, so are `class_map` and `confidence`, and they may still be under
    way there, as is usual in PyTorch; reading `timings_ms`, `overlay` and `class_shares` wait for them.

    Attributes:
        class_map: (H, W) uint8 class ids, at the image's own size.
        labels: names and colors of the classes.
        image: the image itself, (H, W, 3) uint8 RGB, not copied.
        input_size_hw: height and width at which the network saw the image.
        timings_ms: milliseconds of each stage: `compile` (0 but for the first image of a size), `prepare`, `network`,
            `class_map`; from a stream also `decode`.
        source: in a stream, the file's path or the number of the frame, counted from 0.
        confidence: (H, W) uint8, the softmax of each pixel's class in steps of 1/255, where it was asked for.
    """

    class_map: np.ndarray
    labels: LabelSet
    image: np.ndarray
    input_size_hw: tuple[int, int]
    timings_ms: Mapping[str, float]
    source: Path | int | None = None
    confidence: np.ndarray | None = None

    def overlay(self, image: np.ndarray | None = None, alpha: float = 0.5) -> np.ndarray:
        """Returns the image with the colors of its classes blended in, (H, W, 3) uint8 RGB.

        Args:
            image: drawn on instead of the segmented image; must have its height and width.
            alpha: 0 shows the image alone, 1 the colors alone.

        Raises:
            InputError: `image` has another size, or `alpha` is not between 0 and 1.
        """
        picture = _in_memory(self.image if image is None else image)
        return overlay(picture, _in_memory(self.class_map), self.labels.palette_array(), alpha)

    def class_shares(self) -> dict[str, float]:
        """Returns for each class, by name, which share of the pixels it has, from 0 to 1."""
        class_map = _in_memory(self.class_map)
        counts = count_pixels(class_map)[: self.labels.num_classes]
        return {name: int(count) / class_map.size for name, count in zip(self.labels.names, counts, strict=True)}


def _in_memory(array: Any) -> np.ndarray:
    """Returns an array as it is, and a tensor as an array."""
    return array if isinstance(array, np.ndarray) else np.asarray(array.cpu())

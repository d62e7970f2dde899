"""`Sample`: an image with its label."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Sample:
    """An image with its label.

    Attributes:
        image: (H, W, 3) uint8, RGB.
        label: (H, W) uint8, class ids from 0 to K-1 or the label set's `ignore_index`.
        name: name of the sample in its split, such as `aachen/aachen_000000_000019`.
    """

    image: np.ndarray
    label: np.ndarray
    name: str

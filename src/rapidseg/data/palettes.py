"""What the palettes of mask files say about their ids: whether ids mean the same class in every file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from rapidseg.core.labels import Color

CONTRADICTING = "palettes contradict the colors of the classes"
DIFFERING = "palettes differ from each other"


def used_colors(ids: np.ndarray, palette: np.ndarray | None) -> dict[int, Color]:
    """Returns the color of each id that occurs in a mask and is in its palette.

    Args:
        ids: (H, W) uint8.
        palette: (N, 3) uint8 RGB; None: the file has none.
    """
    if palette is None:
        return {}
    used = np.flatnonzero(np.bincount(ids.ravel(), minlength=1)[: len(palette)])
    return {int(value): _as_color(palette[value]) for value in used}


def contradiction(
    used: Mapping[int, Color],
    palette: np.ndarray | None,
    class_colors: Mapping[Color, int],
    label_of: Callable[[int], int | None],
) -> tuple[int, Color, int] | None:
    """Returns an id whose color in the palette is that of another class than the id's own: id, color, that class.

    A palette in which less than half of the used colors are those of classes is a color scheme of its own and says
    nothing.

    Args:
        used: color of each id that occurs, from `used_colors`.
        palette: of the file.
        class_colors: class id of each color that the description of the data set gives to a class.
        label_of: label of an id; None if it is unknown.
    """
    named = {value: class_colors[color] for value, color in used.items() if color in class_colors}
    if palette is None or not named or 2 * len(named) < len(used):
        return None
    # Programs fill the rest of a palette with one color, so a color that the right id has as well says nothing.
    rightly_named = {
        class_id
        for value, color in enumerate(map(_as_color, palette))
        if (class_id := class_colors.get(color)) is not None and label_of(value) == class_id
    }
    for value, class_id in named.items():
        if label_of(value) not in (class_id, None) and class_id not in rightly_named:
            return value, used[value], class_id
    return None


class PaletteLedger:
    """Remembers the color of each id over the masks of a data set."""

    def __init__(self) -> None:
        self._first: dict[int, tuple[Color, Path]] = {}

    def add(self, path: Path, used: Mapping[int, Color]) -> tuple[int, Color, Color, Path] | None:
        """Adds a mask, and returns an id of another color than in an earlier mask: id, both colors, that mask.

        Args:
            path: the mask.
            used: color of each of its ids.
        """
        for value, color in used.items():
            first_color, first_path = self._first.setdefault(value, (color, path))
            if color != first_color:
                return value, color, first_color, first_path
        return None


def _as_color(entry: np.ndarray) -> Color:
    red, green, blue = entry.tolist()
    return red, green, blue

"""What the pixels of a mask file stand for: ids, or colors, and how they become labels.

A mask file is decoded into a label, (H, W) uint8 with class ids 0 to K-1 or `ignore_index`, together with its foreign
values: those that stand for no class and are not to be ignored either. What to do about foreign values is the caller's
choice: a data set refuses the file, a check reports it and goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

import numpy as np

from rapidseg.imaging import read_image, read_mask

Color = tuple[int, int, int]
MaskValue = int | Color  # an id, or an RGB color

_NUM_IDS = 1 << 16  # masks have 8 or 16 bits
_KEPT = 64  # foreign values that are kept of a file: a photo in a mask's place has a million
_SHOWN = 5  # foreign values that a message names


@dataclass(frozen=True)
class UnknownValues:
    """Values of a mask that stand for no class.

    Attributes:
        counts: pixels of each value, most frequent first; not more than 64 values, however many there are.
        num_values: how many different values there are.
        num_pixels: how many pixels hold one of them.
    """

    counts: Mapping[MaskValue, int]
    num_values: int
    num_pixels: int

    def __str__(self) -> str:
        """`value 19 at 5 pixels`, or `values 19 (5 pixels), 255 (3 pixels) and 4 more`."""
        values = list(self.counts)
        word = "value" if isinstance(values[0], int) else "color"
        if self.num_values == 1:
            return f"{word} {format_value(values[0])} at {_pixels(self.num_pixels)}"
        shown = [f"{format_value(value)} ({_pixels(self.counts[value])})" for value in values[:_SHOWN]]
        rest = f" and {self.num_values - _SHOWN} more" if self.num_values > _SHOWN else ""
        return f"{word}s {', '.join(shown)}{rest}"


@dataclass(frozen=True, eq=False)
class DecodedMask:
    """A mask file as a label.

    Attributes:
        label: (H, W) uint8, class ids or `ignore_index`; foreign pixels are `ignore_index`.
        foreign: values that stand for no class; None in a sound mask.
    """

    label: np.ndarray
    foreign: UnknownValues | None


class MaskFormat(Protocol):
    """Turns mask files into labels."""

    kind: ClassVar[str]
    ignore_index: int

    def label_of(self, value: MaskValue) -> int | None:
        """Returns the class id or `ignore_index` that a value stands for; None if it is foreign."""

    def decode(self, path: Path) -> DecodedMask:
        """Reads a mask file.

        Raises:
            ImageError: the file cannot be read.
        """

    def describe(self) -> str:
        """Returns which values are allowed, for messages."""


class IdMasks:
    """Masks whose pixels are ids: 8- or 16-bit gray files, or the indices of palette files.

    Args:
        values: label (a class id or `ignore_index`) of each id.
        ignore_index: label of ignored pixels.
        other: label of every id that `values` does not list; None: such ids are foreign.
    """

    kind: ClassVar[str] = "ids"

    def __init__(self, values: Mapping[int, int], ignore_index: int, other: int | None = None) -> None:
        self.values = dict(sorted(values.items()))
        self.ignore_index = ignore_index
        self._labels = np.full(_NUM_IDS, ignore_index if other is None else other, np.uint8)
        self._known = np.full(_NUM_IDS, other is not None)
        for value, label in values.items():
            self._labels[value] = label
            self._known[value] = True

    def label_of(self, value: MaskValue) -> int | None:
        return int(self._labels[value]) if isinstance(value, int) and self._known[value] else None

    def decode(self, path: Path) -> DecodedMask:
        """Reads a mask file.

        Raises:
            ImageError: the file cannot be read, or is a color image.
        """
        ids = read_mask(path)
        known = self._known[ids]
        foreign = None if known.all() else _count(ids[~known], int)
        return DecodedMask(self._labels[ids], foreign)

    def describe(self) -> str:
        classes = [value for value, label in self.values.items() if label != self.ignore_index]
        ignored = [value for value, label in self.values.items() if label == self.ignore_index]
        text = f"ids {_ranges(classes)} are classes"
        return f"{text}, {_ranges(ignored)} {'is' if len(ignored) == 1 else 'are'} ignored" if ignored else text


class ColorMasks:
    """Masks whose pixels are RGB colors.

    Args:
        values: label (a class id or `ignore_index`) of each color.
        ignore_index: label of ignored pixels.
        other: label of every color that `values` does not list; None: such colors are foreign.
    """

    kind: ClassVar[str] = "colors"

    def __init__(self, values: Mapping[Color, int], ignore_index: int, other: int | None = None) -> None:
        self.values = dict(values)
        self.ignore_index = ignore_index
        self.other = other
        # Sorted 24-bit keys and a binary search: a direct table would hold 16 MiB in each of a loader's processes.
        keys = {(red << 16) | (green << 8) | blue: label for (red, green, blue), label in values.items()}
        self._keys = np.array(sorted(keys), np.uint32)
        self._labels = np.array([keys[key] for key in sorted(keys)], np.uint8)

    def label_of(self, value: MaskValue) -> int | None:
        return None if isinstance(value, int) else self.values.get(value, self.other)

    def decode(self, path: Path) -> DecodedMask:
        """Reads a mask file.

        Raises:
            ImageError: the file cannot be read.
        """
        colors = read_image(path).astype(np.uint32)
        keys = (colors[..., 0] << 16) | (colors[..., 1] << 8) | colors[..., 2]
        nearest = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        label = self._labels[nearest]
        known = self._keys[nearest] == keys
        foreign = None
        if not known.all():
            label[~known] = self.ignore_index if self.other is None else self.other
            foreign = _count(keys[~known], _color) if self.other is None else None
        return DecodedMask(label, foreign)

    def describe(self) -> str:
        listed = [format_value(value) for value in self.values]
        return f"{len(listed)} colors are known: {', '.join(listed[:8])}{', ...' if len(listed) > 8 else ''}"


def format_value(value: MaskValue) -> str:
    """Returns a mask value as it is written in a description of a data set: `7`, or `128 64 128`."""
    return str(value) if isinstance(value, int) else " ".join(str(part) for part in value)


def _pixels(count: int) -> str:
    return f"{count} pixel" if count == 1 else f"{count} pixels"


def _count(pixels: np.ndarray, to_value: Callable[[int], MaskValue]) -> UnknownValues:
    values, counts = np.unique(pixels, return_counts=True)
    frequent = np.argsort(-counts, kind="stable")[:_KEPT]
    return UnknownValues(
        {to_value(int(values[index])): int(counts[index]) for index in frequent}, len(values), len(pixels)
    )


def _color(key: int) -> Color:
    return key >> 16, (key >> 8) & 255, key & 255


def _ranges(values: list[int]) -> str:
    """Returns `0 to 10` or `7, 8, 11 to 13` for sorted ids."""
    parts: list[str] = []
    start = 0
    for end in range(1, len(values) + 1):
        if end == len(values) or values[end] != values[end - 1] + 1:
            first, last = values[start], values[end - 1]
            parts.append(f"{first} to {last}" if last > first + 1 else ", ".join(map(str, values[start:end])))
            start = end
    return ", ".join(parts)

"""How mask files become labels: their pixels are ids or colors.

A mask file is decoded into a label, (H, W) uint8 with class ids 0 to K-1 or `ignore_index`, and its unknown values:
those that neither belong to a class nor are ignored. The caller decides what to do about unknown values: a data set
rejects the file, a check reports it and continues.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

import numpy as np

from rapidseg.core.wording import count_of
from rapidseg.imaging import read_image, read_mask

Color = tuple[int, int, int]
MaskValue = int | Color  # an id, or an RGB color

_NUM_IDS = 1 << 16  # masks have 8 or 16 bits
_MAX_COUNTED = 64  # unknown values that are counted per file: a photo in place of a mask has a million
_MAX_SHOWN = 5  # unknown values that a message names


@dataclass(frozen=True)
class UnknownValues:
    """Values of a mask that neither belong to a class nor are ignored.

    Attributes:
        counts: number of pixels of each value, for the 64 most frequent values, most frequent first.
        num_values: number of different values.
        num_pixels: number of pixels with any of them.
    """

    counts: Mapping[MaskValue, int]
    num_values: int
    num_pixels: int

    def __str__(self) -> str:
        """`value 19 at 5 pixels`, or `values 19 (5 pixels), 255 (3 pixels) and 4 more`."""
        values = list(self.counts)
        noun = "value" if isinstance(values[0], int) else "color"
        if self.num_values == 1:
            return f"{noun} {format_value(values[0])} at {count_of(self.num_pixels, 'pixel')}"
        shown = [f"{format_value(value)} ({count_of(self.counts[value], 'pixel')})" for value in values[:_MAX_SHOWN]]
        rest = f" and {self.num_values - _MAX_SHOWN} more" if self.num_values > _MAX_SHOWN else ""
        return f"{noun}s {', '.join(shown)}{rest}"


@dataclass(frozen=True, eq=False)
class DecodedMask:
    """A decoded mask file.

    Attributes:
        label: (H, W) uint8, class ids or `ignore_index`; pixels of unknown values are `ignore_index`.
        unknown_values: values that neither belong to a class nor are ignored; None if there are none.
    """

    label: np.ndarray
    unknown_values: UnknownValues | None


class MaskFormat(Protocol):
    """Decodes mask files."""

    kind: ClassVar[str]
    ignore_index: int

    def label_of(self, value: MaskValue) -> int | None:
        """Returns the class id or `ignore_index` of a value; None if the value is unknown."""

    def decode(self, path: Path) -> DecodedMask:
        """Reads a mask file.

        Raises:
            ImageError: the file cannot be read.
        """

    def describe(self) -> str:
        """Returns which values are allowed, for messages."""


class IdMasks:
    """Masks whose pixels are ids: gray files of 8 or 16 bits, or the indices of palette files.

    Args:
        values: label (a class id or `ignore_index`) of each id.
        ignore_index: label of ignored pixels.
        default: label of every id that `values` does not list; None: such ids are unknown.
    """

    kind: ClassVar[str] = "ids"

    def __init__(self, values: Mapping[int, int], ignore_index: int, default: int | None = None) -> None:
        self.values = dict(sorted(values.items()))
        self.ignore_index = ignore_index
        self._labels = np.full(_NUM_IDS, ignore_index if default is None else default, np.uint8)
        self._known = np.full(_NUM_IDS, default is not None)
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
        unknown_values = None if known.all() else _count(ids[~known], int)
        return DecodedMask(self._labels[ids], unknown_values)

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
        default: label of every color that `values` does not list; None: such colors are unknown.
    """

    kind: ClassVar[str] = "colors"

    def __init__(self, values: Mapping[Color, int], ignore_index: int, default: int | None = None) -> None:
        self.values = dict(values)
        self.ignore_index = ignore_index
        self.default = default
        # Sorted 24-bit keys and a binary search: a direct table would take 16 MiB in each loader process.
        keys = {(red << 16) | (green << 8) | blue: label for (red, green, blue), label in values.items()}
        self._keys = np.array(sorted(keys), np.uint32)
        self._labels = np.array([keys[key] for key in sorted(keys)], np.uint8)

    def label_of(self, value: MaskValue) -> int | None:
        return None if isinstance(value, int) else self.values.get(value, self.default)

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
        unknown_values = None
        if not known.all():
            label[~known] = self.ignore_index if self.default is None else self.default
            unknown_values = _count(keys[~known], _color) if self.default is None else None
        return DecodedMask(label, unknown_values)

    def describe(self) -> str:
        listed = [format_value(value) for value in self.values]
        return f"known colors: {', '.join(listed[:8])}{', ...' if len(listed) > 8 else ''}"


def format_value(value: MaskValue) -> str:
    """Returns a mask value as in the `label_map` of a YAML data set: `7`, or `128 64 128`."""
    return str(value) if isinstance(value, int) else " ".join(str(part) for part in value)


def _count(pixels: np.ndarray, to_value: Callable[[int], MaskValue]) -> UnknownValues:
    values, counts = np.unique(pixels, return_counts=True)
    frequent = np.argsort(-counts, kind="stable")[:_MAX_COUNTED]
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

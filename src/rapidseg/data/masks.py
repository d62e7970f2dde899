"""How mask files become labels: their pixels are ids or colors.

A mask file is decoded into a label, (H, W) uint8 with class ids 0 to K-1 or `ignore_index`, and its unknown values:
those that neither belong to a class nor are ignored. The caller decides what to do about unknown values: a data set
rejects the file, a check reports it and continues.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np

from rapidseg.core.labels import Color
from rapidseg.core.wording import count_of
from rapidseg.data.palettes import PaletteLedger, contradiction, used_colors
from rapidseg.imaging.mask_files import MaskFile, read_color_mask, read_id_mask

MaskValue = int | Color  # an id, or an RGB color

_NUM_IDS = 1 << 16  # masks have 8 or 16 bits
_MAX_COUNTED = 64  # unknown values that are counted per file: a photo in place of a mask has a million
_MAX_SHOWN = 5  # unknown values that a message names
_INSTANCES_PER_ID = 1000
_MAX_SAMPLED = 1 << 16  # pixels whose values are counted where only the order of magnitude matters


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
        file: the content of the file.
        num_others: about how many different values have a label only by the default of the format.
        class_colors: color, by the palette of the file, of each id that occurs and belongs to a class.
        contradiction: an id, its color in the palette of the file, and the class that has this color in the
            description of the data, if that is not the class of the id; else None.
        has_instances: whether ids that only the default covers are those of instances, 1000 * id + number.
    """

    label: np.ndarray
    unknown_values: UnknownValues | None
    file: MaskFile
    num_others: int = 0
    class_colors: Mapping[int, Color] = field(default_factory=dict)
    contradiction: tuple[int, Color, int] | None = None
    has_instances: bool = False

    def without_pixels(self) -> DecodedMask:
        """Returns the same without label and pixels, to be kept for many masks."""
        nothing = np.empty((0, 0), np.uint8)
        return replace(self, label=nothing, file=replace(self.file, pixels=nothing, palette=None))


class MaskFormat(Protocol):
    """Decodes mask files."""

    kind: ClassVar[str]
    ignore_index: int
    palettes: PaletteLedger  # of the masks that were read for training or scoring

    @property
    def values(self) -> Mapping[Any, int]:
        """Label of each listed id or color."""

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
        class_colors: class id of each color that the description of the data gives to a class, to compare with the
            palettes of files.
    """

    kind: ClassVar[str] = "ids"

    def __init__(
        self,
        values: Mapping[int, int],
        ignore_index: int,
        default: int | None = None,
        class_colors: Mapping[Color, int] | None = None,
    ) -> None:
        self.values = dict(sorted(values.items()))
        self.ignore_index = ignore_index
        self.class_colors = dict(class_colors or {})
        self.palettes = PaletteLedger()
        self._has_default = default is not None
        self._listed = np.zeros(_NUM_IDS, bool)
        self._listed[list(values)] = True
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
        file = read_id_mask(path)
        ids = file.pixels
        known = self._known[ids]
        unknown_values = None if known.all() else _count(ids[~known], int)
        used = used_colors(ids, file.palette)
        others = _unlisted(self._listed[ids], ids) if self._has_default else ids[:0, 0]
        return DecodedMask(
            self._labels[ids],
            unknown_values,
            file,
            num_others=len(others),
            has_instances=is_instances(others, self._listed),
            class_colors={value: color for value, color in used.items() if self._is_class(value)},
            contradiction=contradiction(used, file.palette, self.class_colors, self.label_of),
        )

    def _is_class(self, value: int) -> bool:
        return bool(self._known[value]) and self._labels[value] != self.ignore_index

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
        self.palettes = PaletteLedger()
        # Sorted 24-bit keys and a binary search: a direct table would take 16 MiB in each loader process.
        keys = {(red << 16) | (green << 8) | blue: label for (red, green, blue), label in values.items()}
        self._keys = np.array(sorted(keys), np.uint32)
        self._labels = np.array([keys[key] for key in sorted(keys)], np.uint8)

    def label_of(self, value: MaskValue) -> int | None:
        return None if isinstance(value, int) else self.values.get(value, self.default)

    def decode(self, path: Path) -> DecodedMask:
        """Reads a mask file.

        Raises:
            ImageError: the file cannot be read, or changes or hides colors.
        """
        file = read_color_mask(path)
        colors = file.pixels.astype(np.uint32)
        keys = (colors[..., 0] << 16) | (colors[..., 1] << 8) | colors[..., 2]
        nearest = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        label = self._labels[nearest]
        known = self._keys[nearest] == keys
        unknown_values, num_others = None, 0
        if not known.all():
            label[~known] = self.ignore_index if self.default is None else self.default
            if self.default is None:
                unknown_values = _count(keys[~known], _color)
            else:
                num_others = len(_unlisted(known, keys))
        return DecodedMask(label, unknown_values, file, num_others)

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


def is_instances(ids: np.ndarray, listed: np.ndarray) -> bool:
    """Tells whether some ids are 1000 * a listed id + a number, as Cityscapes numbers instances.

    Args:
        ids: (N,), different from each other.
        listed: (65536,) bool, whether an id is listed.
    """
    large = ids.astype(np.int64)
    large = large[large >= _INSTANCES_PER_ID]
    return bool(listed[large // _INSTANCES_PER_ID].any())


def _unlisted(listed: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Returns the different values where `listed` is false, or those of a sample of such pixels."""
    others = pixels[~listed]
    return np.unique(others[:: 1 + len(others) // _MAX_SAMPLED])


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

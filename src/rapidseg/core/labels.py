"""Label sets: the names, colors and ignored value of the classes that a data set or a model knows."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from rapidseg.core.arguments import describe_value, is_integer
from rapidseg.core.cityscapes_labels import CITYSCAPES_CLASSES
from rapidseg.core.errors import InputError, nearest_hint

Color = tuple[
    Annotated[int, Field(ge=0, le=255)], Annotated[int, Field(ge=0, le=255)], Annotated[int, Field(ge=0, le=255)]
]


class LabelSet(BaseModel):
    """The classes of a data set or a model.

    Attributes:
        names: class names, 2 to 255, all different; class `i` is called `names[i]`.
        palette: the RGB color that each class is drawn in.
        ignore_index: label of pixels that are neither learned nor scored, 0 to 255.
        categories: the coarser class of each class, which is scored as well; empty if the classes have none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    names: tuple[str, ...] = Field(min_length=2, max_length=255)
    palette: tuple[Color, ...]
    ignore_index: int = Field(default=255, ge=0, le=255)
    categories: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> LabelSet:
        if len(self.palette) != len(self.names):
            raise ValueError(f"{len(self.names)} class names but {len(self.palette)} colors; pass one color per class")
        if self.categories and len(self.categories) != len(self.names):
            raise ValueError(f"{len(self.names)} class names but {len(self.categories)} categories; pass one per class")
        if len(set(self.names)) != len(self.names):
            raise ValueError(duplicate_names(self.names))
        if self.ignore_index < len(self.names):
            raise ValueError(
                f"ignore_index {self.ignore_index} is the id of class {self.names[self.ignore_index]!r}; "
                f"use {len(self.names)} or more, usually 255"
            )
        return self

    @property
    def num_classes(self) -> int:
        return len(self.names)

    @property
    def category_names(self) -> tuple[str, ...]:
        """The categories, each once, in the order of their first classes."""
        return tuple(dict.fromkeys(self.categories))

    def class_id(self, name_or_id: str | int) -> int:
        """Returns the id of a class.

        Args:
            name_or_id: its name, such as `Car`, or its id, counted from 0.

        Raises:
            InputError: no class has that name or id.
        """
        if isinstance(name_or_id, str) and name_or_id in self.names:
            return self.names.index(name_or_id)
        if is_integer(name_or_id) and 0 <= operator.index(name_or_id) < self.num_classes:  # type: ignore[arg-type]
            return operator.index(name_or_id)  # type: ignore[arg-type]
        raise InputError(
            f"unknown class {describe_value(name_or_id)}{nearest_hint(name_or_id, self.names)}; classes: "
            f"{', '.join(self.names)}; pass one of these names, or its id from 0 to {self.num_classes - 1}"
        )

    def palette_array(self) -> np.ndarray:
        """Returns the colors as a (256, 3) uint8 RGB table; ids that do not belong to a class are black."""
        table = np.zeros((256, 3), np.uint8)
        table[: len(self.palette)] = self.palette
        return table

    @classmethod
    def generic(cls, num_classes: int, ignore_index: int = 255) -> LabelSet:
        """Returns classes called `class_0`, `class_1`, ... for a model whose class names are unknown."""
        names = tuple(f"class_{i}" for i in range(num_classes))
        return cls(names=names, palette=distinct_colors(num_classes), ignore_index=ignore_index)


def duplicate_names(names: Sequence[str]) -> str:
    """Returns a message that lists the names that occur more than once: `duplicate class name: Car`."""
    duplicates = sorted({name for name in names if names.count(name) > 1})
    return f"duplicate class {'name' if len(duplicates) == 1 else 'names'}: {', '.join(duplicates)}"


def distinct_colors(count: int) -> tuple[Color, ...]:
    """Returns `count` RGB colors that differ from each other, by the bit-interleaving rule of PASCAL VOC.

    Black, the first color of that rule, is skipped: ignored pixels are black.
    """
    colors = []
    for index in range(1, count + 1):
        rgb = [0, 0, 0]
        rest = index
        for bit in range(7, -1, -1):
            for channel in range(3):
                rgb[channel] |= ((rest >> channel) & 1) << bit
            rest >>= 3
        colors.append((rgb[0], rgb[1], rgb[2]))
    return tuple(colors)


def _label_set(entries: list[tuple[str, Color]], ignore_index: int) -> LabelSet:
    return LabelSet(
        names=tuple(name for name, _ in entries),
        palette=tuple(color for _, color in entries),
        ignore_index=ignore_index,
    )


# The 19 classes of the Cityscapes benchmark in the order of their train ids (Cordts et al., CVPR 2016).
CITYSCAPES = LabelSet(
    names=tuple(label.name for label in CITYSCAPES_CLASSES),
    palette=tuple(label.color for label in CITYSCAPES_CLASSES),
    categories=tuple(label.category for label in CITYSCAPES_CLASSES),
)

# The 11 classes that CamVid is usually reduced to (Badrinarayanan et al., SegNet, 2015), in their order and colors.
CAMVID = _label_set(
    [
        ("Sky", (128, 128, 128)),
        ("Building", (128, 0, 0)),
        ("Pole", (192, 192, 128)),
        ("Road", (128, 64, 128)),
        ("Pavement", (60, 40, 222)),
        ("Tree", (128, 128, 0)),
        ("SignSymbol", (192, 128, 128)),
        ("Fence", (64, 64, 128)),
        ("Car", (64, 0, 128)),
        ("Pedestrian", (64, 64, 0)),
        ("Bicyclist", (0, 128, 192)),
    ],
    ignore_index=11,
)

# CamVid's class id for each train id of Cityscapes, to score a Cityscapes model on CamVid.
CITYSCAPES_TO_CAMVID = (3, 4, 1, 1, 7, 2, 6, 6, 5, 5, 0, 9, 10, 8, 8, 8, 8, 10, 10)

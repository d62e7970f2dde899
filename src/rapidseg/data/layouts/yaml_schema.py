"""The YAML file that describes a data set: its keys, and what is wrong with them; `docs/data.md` explains it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictInt,
    StrictStr,
    ValidationError,
    field_validator,
    model_validator,
)

from rapidseg.core.errors import ConfigError, nearest_hint
from rapidseg.core.labels import Color, LabelSet, distinct_colors
from rapidseg.core.strict_yaml import read_yaml
from rapidseg.core.validation import explain_validation
from rapidseg.data.masks import ColorMasks, IdMasks, MaskFormat

IGNORE, OTHER = "ignore", "other"  # words of `label_map` that are no class


class SplitDescription(BaseModel):
    """Where the files of one split are: two folders, two folders and a list of names, or a list of pairs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    images: Path | None = None
    masks: Path | None = None
    list: Path | None = None

    @model_validator(mode="after")
    def _check(self) -> SplitDescription:
        if (self.images is None) != (self.masks is None):
            raise ValueError("give both `images` and `masks`, or neither and a `list` of pairs")
        if self.images is None and self.list is None:
            raise ValueError("give the folders `images` and `masks`, a `list` of pairs, or all three")
        return self


class Description(BaseModel):
    """The YAML file. Paths are relative to `root`, and `root` to the YAML file's folder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str | None = None
    root: Path = Path()
    classes: dict[str, Color | None]
    ignore_index: int = Field(default=255, ge=0, le=255)
    mask_format: Literal["ids", "colors"] = "ids"
    label_map: dict[StrictInt | StrictStr, StrictInt | StrictStr] | None = None
    image_suffix: str | None = None
    mask_suffix: str = ".png"
    splits: dict[str, SplitDescription]

    @field_validator("mask_format", mode="before")
    @classmethod
    def _british_spelling(cls, mask_format: Any) -> Any:
        return "colors" if mask_format == "colours" else mask_format

    @field_validator("classes", mode="before")
    @classmethod
    def _names_without_colors(cls, classes: Any) -> Any:
        if not isinstance(classes, list):
            return classes
        wrong = [name for name in classes if not isinstance(name, str)]
        if wrong:
            raise ValueError(f"{wrong[0]!r} is not a name; put names that YAML takes for something else in quotes")
        twice = sorted({name for name in classes if classes.count(name) > 1})
        if twice:
            raise ValueError(f"class names must differ; {', '.join(twice)} stand twice")
        return dict.fromkeys(classes)

    @model_validator(mode="after")
    def _check(self) -> Description:
        if not 2 <= len(self.classes) <= 255:
            raise ValueError(f"classes: {len(self.classes)} given; 2 to 255 are allowed")
        without = [name for name, color in self.classes.items() if color is None]
        if without and (self.mask_format == "colors" or len(without) < len(self.classes)):
            raise ValueError(f"class {without[0]!r} has no color; write every class as `name: [red, green, blue]`")
        reserved = {IGNORE, OTHER} & set(self.classes)
        if reserved and self.label_map is not None:
            raise ValueError(f"{reserved.pop()!r} has a meaning of its own in label_map; call that class otherwise")
        if not self.splits:
            raise ValueError("splits: none given; name one at least, such as train")
        joined = [name for name in self.splits if "+" in name]
        if joined:
            raise ValueError(f"split {joined[0]!r}: `+` joins splits, so no split's name may hold it")
        self.label_set()
        self.masks()
        return self

    def label_set(self) -> LabelSet:
        names = tuple(self.classes)
        colors = tuple(color for color in self.classes.values() if color is not None)
        palette = colors or distinct_colors(len(names))
        return LabelSet(names=names, palette=palette, ignore_index=self.ignore_index)

    def masks(self, ignore_index: int | None = None) -> MaskFormat:
        """Returns how masks are read; `ignore_index` is the label of ignored pixels if not the file's own."""
        ignored = self.ignore_index if ignore_index is None else ignore_index
        mapped = dict(self.label_map or {})
        other = self._label(mapped.pop(OTHER), ignored) if OTHER in mapped else None
        if self.mask_format == "colors":
            colors = {color: index for index, color in enumerate(self.classes.values()) if color is not None}
            if len(colors) < len(self.classes):
                raise ValueError("two classes have the same color; in masks of colors each class needs its own")
            return ColorMasks(
                colors | {_color(value): self._label(target, ignored) for value, target in mapped.items()},
                ignored,
                other,
            )
        ids = {self.ignore_index: ignored}
        if self.label_map is None:
            ids |= {index: index for index in range(len(self.classes))}
        ids |= {_id(value): self._label(target, ignored) for value, target in mapped.items()}
        return IdMasks(ids, ignored, other)

    def _label(self, target: int | str, ignored: int) -> int:
        names = tuple(self.classes)
        if target == IGNORE:
            return ignored
        if isinstance(target, str):
            if target not in names:
                raise ValueError(
                    f"label_map: {target!r} is no class{nearest_hint(target, (*names, IGNORE))}; give the name or id "
                    f"of a class, or {IGNORE}"
                )
            return names.index(target)
        if not 0 <= target < len(names):
            raise ValueError(f"label_map: {target} is no class; ids are 0 to {len(names) - 1}, or write {IGNORE}")
        return target


def read_description(path: Path) -> Description:
    """Reads and validates a YAML file.

    Raises:
        ConfigError: it cannot be read, is not YAML, or a key is unknown, missing or wrong.
    """
    content = read_yaml(path, "a description of a data set", advice="docs/data.md has an example")
    try:
        return Description.model_validate(content)
    except ValidationError as error:
        raise ConfigError(f"{path}: {explain_validation(error, Description)}; docs/data.md has an example") from error


def _id(value: int | str) -> int:
    if not isinstance(value, int) or not 0 <= value < 1 << 16:
        raise ValueError(f"label_map: {value!r} is no id; give 0 to 65535, or {OTHER} for all ids that are not listed")
    return value


def _color(value: int | str) -> tuple[int, int, int]:
    parts = str(value).replace(",", " ").split()
    if len(parts) != 3 or not all(part.isdecimal() and int(part) < 256 for part in parts):
        raise ValueError(
            f"label_map: {value!r} is no color; write `128 64 128: road`, or {OTHER} for all colors not listed"
        )
    return int(parts[0]), int(parts[1]), int(parts[2])

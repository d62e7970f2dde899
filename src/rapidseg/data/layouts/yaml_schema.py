"""The keys of the YAML file that describes a data set; `docs/data.md` explains them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    StrictInt,
    StrictStr,
    ValidationError,
    field_validator,
    model_validator,
)

from rapidseg.core.errors import ConfigError, nearest_hint
from rapidseg.core.input_paths import InputPath
from rapidseg.core.labels import Color, LabelSet, distinct_colors, duplicate_names
from rapidseg.core.printable import is_plain, shortened
from rapidseg.core.strict_yaml import read_yaml
from rapidseg.core.validation import explain_validation
from rapidseg.data.annotation_files import explain_annotations
from rapidseg.data.masks import ColorMasks, IdMasks, MaskFormat

IGNORE, OTHER = "ignore", "other"  # in `label_map`: ignored pixels, and all values that are not listed

_MAX_NAME = 100  # characters of the name of a class, a split or a data set, and of a suffix
_MAX_SHOWN = 6  # entries of a proposed `label_map` that a message shows


class SplitDescription(BaseModel):
    """The files of a split: two folders, two folders and a list of images, or a list of pairs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    images: InputPath | None = None
    masks: InputPath | None = None
    list: InputPath | None = None

    @model_validator(mode="after")
    def _check(self) -> SplitDescription:
        if (self.images is None) != (self.masks is None):
            raise ValueError("set both `images` and `masks`, or only a `list` of pairs")
        if self.images is None and self.list is None:
            raise ValueError("set the folders `images` and `masks`, a `list` of pairs, or all three")
        return self


class DatasetDescription(BaseModel):
    """The content of the YAML file.

    Attributes:
        name: name of the data set; by default that of the YAML file.
        root: folder that all other paths are relative to; itself relative to the folder of the YAML file.
        classes: RGB color of each class by name, or None for all of them, in the order of their ids.
        ignore_index: label of ignored pixels, and a value that is ignored in masks of ids.
        mask_format: whether mask pixels are ids or RGB colors.
        label_map: name or id of a class, or `ignore`, for each value in masks; `other` stands for all other values.
        image_suffix: end of the names of images; None: any supported format.
        mask_suffix: end of the names of masks.
        splits: the files of each split.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str | None = None
    root: InputPath = Path()
    classes: dict[str, Color | None]
    ignore_index: int = 255
    mask_format: Literal["ids", "colors"] = "ids"
    label_map: dict[StrictInt | StrictStr, StrictInt | StrictStr] | None = None
    image_suffix: str | None = None
    mask_suffix: str = ".png"
    splits: dict[str, SplitDescription]

    @field_validator("mask_format", mode="before")
    @classmethod
    def _accept_british_spelling(cls, mask_format: Any) -> Any:
        return "colors" if mask_format == "colours" else mask_format

    @field_validator("classes", mode="before")
    @classmethod
    def _names_without_colors(cls, classes: Any) -> Any:
        if not isinstance(classes, list):
            return classes
        wrong = [name for name in classes if not isinstance(name, str)]
        if wrong:
            raise ValueError(f"{wrong[0]!r} is not text; put names such as yes, no and 1 in quotes")
        if len(set(classes)) < len(classes):
            raise ValueError(duplicate_names(classes))
        return dict.fromkeys(classes)

    @model_validator(mode="after")
    def _check(self) -> DatasetDescription:
        self._check_names()
        if len(self.classes) == 1:
            (name,) = self.classes
            raise ValueError(f"classes: background is a class, too; write [background, {name}]")
        if not 2 <= len(self.classes) <= 255:
            raise ValueError(f"classes: {len(self.classes)} classes, but 2 to 255 are allowed")
        without = [name for name, color in self.classes.items() if color is None]
        if without and (self.mask_format == "colors" or len(without) < len(self.classes)):
            raise ValueError(f"class {without[0]!r} has no color; write each class as `name: [red, green, blue]`")
        reserved = {IGNORE, OTHER} & set(self.classes)
        if reserved and self.label_map is not None:
            raise ValueError(f"{reserved.pop()!r} has a special meaning in label_map; rename the class")
        if not self.splits:
            raise ValueError("no splits given; name at least one, such as train")
        joined = [name for name in self.splits if "+" in name]
        if joined:
            raise ValueError(f"split {joined[0]!r}: names of splits cannot contain `+`, which joins splits; rename it")
        self._check_ignore_index()
        self.label_set()
        self.masks()
        return self

    def _check_names(self) -> None:
        names = {
            "classes": tuple(self.classes),
            "splits": tuple(self.splits),
            "name": () if self.name is None else (self.name,),
            "label_map": tuple(target for target in (self.label_map or {}).values() if isinstance(target, str)),
            "mask_suffix": (self.mask_suffix,),
            "image_suffix": () if self.image_suffix is None else (self.image_suffix,),
        }
        for key, values in names.items():
            for value in values:
                if not 1 <= len(value) <= _MAX_NAME or not is_plain(value):
                    raise ValueError(
                        f"{key}: {shortened(value)!r} is not a name of 1 to {_MAX_NAME} printable characters"
                    )

    def _check_ignore_index(self) -> None:
        ignored, names = self.ignore_index, tuple(self.classes)
        if len(names) <= ignored <= 255:
            return
        if ignored < 0:
            raise ValueError(f"ignore_index {ignored}: masks have no negative values; remove the key to ignore 255")
        reason = f"is the id of class {names[ignored]!r}" if ignored < len(names) else "is above 255, the largest label"
        if self.mask_format == "colors":
            advice = "remove the key: masks of colors need none"
        elif self.label_map is not None:
            advice = f"to ignore mask value {ignored}, remove the key and add `{ignored}: {IGNORE}` to label_map"
        else:
            values = [value for value in range(len(names) + 1) if value != ignored]
            entries = sorted([*zip(values, names, strict=False), (ignored, IGNORE)])
            shown = [f"{value}: {target}" for value, target in entries]
            if len(shown) > _MAX_SHOWN:
                shown = (
                    [*shown[:_MAX_SHOWN], "..."] if ignored < _MAX_SHOWN else [*shown[:_MAX_SHOWN], "...", shown[-1]]
                )
            advice = (
                f"to ignore mask value {ignored}, write `label_map: {{{', '.join(shown)}}}` in place of ignore_index"
            )
        raise ValueError(f"ignore_index {ignored} {reason}; {advice}")

    def label_set(self) -> LabelSet:
        """Returns the classes, with generated colors if the file has none."""
        names = tuple(self.classes)
        colors = tuple(color for color in self.classes.values() if color is not None)
        palette = colors or distinct_colors(len(names))
        return LabelSet(names=names, palette=palette, ignore_index=self.ignore_index)

    def masks(self, ignore_index: int | None = None) -> MaskFormat:
        """Returns how masks are read.

        Args:
            ignore_index: label of ignored pixels; None: that of the file.
        """
        ignored = self.ignore_index if ignore_index is None else ignore_index
        mapped = dict(self.label_map or {})
        default = self._label(mapped.pop(OTHER), ignored) if OTHER in mapped else None
        if self.mask_format == "colors":
            colors = {color: index for index, color in enumerate(self.classes.values()) if color is not None}
            if len(colors) < len(self.classes):
                raise ValueError("two classes have the same color; with `mask_format: colors` each class needs its own")
            return ColorMasks(
                colors | {_color(value): self._label(target, ignored) for value, target in mapped.items()},
                ignored,
                default,
            )
        ids = {self.ignore_index: ignored}
        if self.label_map is None:
            ids |= {index: index for index in range(len(self.classes))}
        ids |= {_id(value): self._label(target, ignored) for value, target in mapped.items()}
        # Classes may share a color in pictures; such a color says nothing about ids.
        given = [color for color in self.classes.values() if color is not None]
        class_colors = {color: index for index, color in enumerate(given) if given.count(color) == 1}
        return IdMasks(ids, ignored, default, class_colors)

    def _label(self, target: int | str, ignored: int) -> int:
        names = tuple(self.classes)
        if target == IGNORE:
            return ignored
        if isinstance(target, str):
            if target not in names:
                raise ValueError(
                    f"label_map: {shortened(target)!r} is not a class{nearest_hint(target, (*names, IGNORE))}; write "
                    f"the name or id of a class, or {IGNORE}"
                )
            return names.index(target)
        if not 0 <= target < len(names):
            raise ValueError(f"label_map: {target} is not a class; ids are 0 to {len(names) - 1}, or write {IGNORE}")
        return target


def read_description(path: Path) -> DatasetDescription:
    """Reads and validates a YAML file.

    Raises:
        ConfigError: it cannot be read, is not YAML, or a key is unknown, missing or wrong.
    """
    content = read_yaml(path, "a description of a data set", advice="docs/data.md has an example")
    try:
        return DatasetDescription.model_validate(content)
    except ValidationError as error:
        if path.suffix.lower() == ".json":
            raise ConfigError(f"{path} is not a description of a data set: {explain_annotations(path)}") from error
        raise ConfigError(
            f"{path}: {explain_validation(error, DatasetDescription)}; docs/data.md has an example"
        ) from error


def _shown(value: int | str) -> str:
    return shortened(value) if isinstance(value, int) else repr(shortened(value))


def _id(value: int | str) -> int:
    if not isinstance(value, int) or not 0 <= value < 1 << 16:
        raise ValueError(f"label_map: {_shown(value)} is not an id; write 0 to 65535, or {OTHER} for all other ids")
    return value


def _color(value: int | str) -> tuple[int, int, int]:
    parts = str(value).replace(",", " ").split()
    if len(parts) != 3 or not all(part.isdecimal() and int(part) < 256 for part in parts):
        raise ValueError(
            f"label_map: {_shown(value)} is not a color; write `128 64 128: road`, or {OTHER} for all other colors"
        )
    return int(parts[0]), int(parts[1]), int(parts[2])

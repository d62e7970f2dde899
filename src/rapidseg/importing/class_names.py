"""The classes of a checkpoint: those that the user names, or else those that the file names."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rapidseg.core.errors import ConfigError, InputError, ModelFileError, nearest_hint
from rapidseg.core.labels import CAMVID, CITYSCAPES, LabelSet, distinct_colors
from rapidseg.core.validation import explain_validation
from rapidseg.data.layouts.yaml_schema import read_description
from rapidseg.data.opening import BUNDLED_DESCRIPTIONS

LabelsLike = LabelSet | str | os.PathLike[str] | Sequence[str]

LABEL_SETS = {"cityscapes": CITYSCAPES, "camvid": CAMVID}

_MAX_CLASSES = 255  # class ids of a uint8 class map, with one left for ignore_index


def find_labels(labels: LabelsLike) -> LabelSet:
    """Returns the classes that a user means.

    Args:
        labels: a label set; the name of a known one, such as `cityscapes`; a YAML file that describes a data set
            (docs/data.md); comma-separated names; or a sequence of names.

    Raises:
        InputError: it is none of these, or the names are not valid class names.
        ConfigError: the YAML file cannot be read or does not validate.
    """
    if isinstance(labels, LabelSet):
        return labels
    if not isinstance(labels, (str, os.PathLike)):
        return _named(list(labels))
    text = os.fspath(labels)
    if text in LABEL_SETS:
        return LABEL_SETS[text]
    if text in BUNDLED_DESCRIPTIONS:
        return read_description(BUNDLED_DESCRIPTIONS[text]).label_set()
    if Path(text).suffix.lower() in (".yaml", ".yml"):
        return read_description(Path(text)).label_set()
    if "," in text:
        return _named([name.strip() for name in text.split(",")])
    known = (*LABEL_SETS, *BUNDLED_DESCRIPTIONS)
    raise InputError(
        f"unknown labels {text!r}; pass {', '.join(known)}, a YAML file that describes the data (docs/data.md), or "
        f"comma-separated class names{nearest_hint(text, known)}"
    )


def labels_for(
    num_classes: int, labels: LabelsLike | None, content: Any, *, path: object, note: Callable[[str], None]
) -> LabelSet:
    """Returns the classes of a checkpoint.

    Args:
        num_classes: of its classifier.
        labels: the classes that the user names; they take precedence.
        content: of the file; OpenMMLab's files name the classes and their colors.
        path: of the file, for messages, which name a command for it.
        note: told where the names come from if that is not certain.

    Raises:
        ModelFileError: the number of classes is not possible.
        ConfigError: `labels` has another number of classes.
    """
    if not 2 <= num_classes <= _MAX_CLASSES:
        raise ModelFileError(f"{path}: its classifier has {num_classes} classes; 2 to {_MAX_CLASSES} are possible")
    if labels is not None:
        given = find_labels(labels)
        if given.num_classes != num_classes:
            raise ConfigError(
                f"{path} has {num_classes} classes, but labels names {given.num_classes}; pass {num_classes}"
            )
        return given
    stored = stored_labels(content)
    if stored is not None and stored.num_classes == num_classes:
        return stored
    if stored is not None:
        note(f"the file names {stored.num_classes} classes but has {num_classes}, so its names are not used")
    # Most commands, and `rapidseg.load`, have no such option, so the command that has it is named whole.
    advice = f"rapidseg import {path} --labels NAMES (in Python: labels= of rapidseg.import_checkpoint)"
    if num_classes == CITYSCAPES.num_classes:
        note(
            "the file does not name its 19 classes; they are assumed to be those of Cityscapes. If they are others, "
            f"name them: {advice}"
        )
        return CITYSCAPES
    note(f"the file does not name its {num_classes} classes; they are called class_0 and so on. To name them: {advice}")
    return LabelSet.generic(num_classes)


def stored_labels(content: Any) -> LabelSet | None:
    """Returns the classes that a checkpoint names; None if it names none, or names that are not usable.

    mmcv wrote `meta.CLASSES` and `meta.PALETTE` (RGB), mmengine writes `meta.dataset_meta.classes` and `palette`.
    """
    meta = content.get("meta") if isinstance(content, Mapping) else None
    if not isinstance(meta, Mapping):
        return None
    nested = meta.get("dataset_meta")
    for entries in (nested if isinstance(nested, Mapping) else {}, meta):
        for spelling in (str.lower, str.upper):
            names, palette = entries.get(spelling("classes")), entries.get(spelling("palette"))
            if names is not None and _are_texts(names):
                return _usable(list(names), palette)
    return None


def _usable(names: list[str], palette: Any) -> LabelSet | None:
    if tuple(names) == CITYSCAPES.names:
        return CITYSCAPES  # which has categories as well
    for colors in (palette, distinct_colors(len(names))):
        try:
            return LabelSet.model_validate({"names": names, "palette": colors})
        except ValidationError:  # no colors, too few, or not three bytes each
            continue
    return None


def _are_texts(names: Any) -> bool:
    return isinstance(names, (list, tuple)) and bool(names) and all(isinstance(name, str) for name in names)


def _named(names: list[str]) -> LabelSet:
    if not _are_texts(names) or not all(names):
        raise InputError(f"labels must be names, not {names!r}; pass a name for each class")
    try:
        return LabelSet(names=tuple(names), palette=distinct_colors(len(names)))
    except ValidationError as error:
        reason = explain_validation(error, LabelSet)
        raise InputError(f"labels {', '.join(names)} cannot be used: {reason}") from error

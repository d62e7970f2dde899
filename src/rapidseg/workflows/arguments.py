"""The rules for arguments that several workflows share, by name."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

from rapidseg.core import arguments
from rapidseg.core.arguments import (
    FLAG,
    TEXT,
    Rule,
    as_numbers,
    as_paths,
    as_texts,
    check_path,
    instance,
    integer,
    number,
    refusal,
)
from rapidseg.core.sizes import to_input_size, to_input_sizes, to_size, to_sizes

Parameters = ParamSpec("Parameters")
Returned = TypeVar("Returned")


def model_or_segmenter(name: str, value: Any) -> None:
    """Allows what `load` takes, and a `Segmenter`."""
    if isinstance(value, (str, os.PathLike)):
        return
    from rapidseg.runtime import Segmenter

    if not isinstance(value, Segmenter):
        raise refusal(name, value, "a model's name or file, or a Segmenter that rapidseg.load returned")


def model_or_network(name: str, value: Any) -> None:
    """Allows a model's name or file, and a `SegmentationModel`."""
    if not isinstance(value, (str, os.PathLike)) and not hasattr(value, "forward_all"):
        raise refusal(name, value, "a model's name or file, or a SegmentationModel")


def _labels(name: str, value: Any) -> None:
    from rapidseg.core.labels import LabelSet

    if not isinstance(value, (LabelSet, os.PathLike)):
        as_texts(name, value)


def _progress(name: str, value: Any) -> None:
    if not all(callable(getattr(value, method, None)) for method in ("update", "metrics", "message")):
        raise refusal(name, value, "an object with the methods of rapidseg.core.progress.Progress")


_split = instance(str, "a split, such as 'val', or several joined with +: 'train+val'")

RULES: Mapping[str, Rule] = {
    "model": lambda name, value: check_path(name, value, "a model's name or file, as text or pathlib.Path"),
    "models": as_paths,
    "data": lambda name, value: check_path(name, value, "a data set's name or YAML file, as text or pathlib.Path"),
    "root": check_path,
    "split": _split,
    "val_split": _split,
    "labels": _labels,
    "class_mapping": TEXT,
    "engine": TEXT,
    "precision": TEXT,
    "device": TEXT,
    "engines": arguments.as_names,
    "precisions": arguments.as_names,
    "input_size": lambda name, value: to_input_size(value, name),
    "input_sizes": lambda name, value: to_input_sizes(value, name),
    "static": lambda name, value: to_size(value, name),
    "output_kind": TEXT,
    "image_size": lambda name, value: to_size(value, name),
    "image_sizes": lambda name, value: to_sizes(value, name),
    "check_sizes": lambda name, value: to_sizes(value, name),
    "crop": lambda name, value: to_size(value, name),
    "stride": lambda name, value: to_size(value, name),
    "scales": as_numbers,
    "image": check_path,
    "output": check_path,
    "html": check_path,
    "submission": check_path,
    "checkpoint": check_path,
    "download": FLAG,
    "workers": integer(1, limit=1024),
    "rounds": integer(1, limit=1_000_000),
    "seconds": number(0),
    "batch": integer(1, limit=65_536),
    "calibration_images": integer(1),
    "max_drop": number(0, 100, " (points of mIoU)"),
    "options": instance(Mapping, "a mapping, such as {'output_stride': 32}"),
    "progress": _progress,
}


def checked(*names: str, **own: Rule) -> Callable[[Callable[Parameters, Returned]], Callable[Parameters, Returned]]:
    """Returns the decorator of `rapidseg.core.arguments.checked`.

    Args:
        names: parameters with a rule of `RULES`.
        own: the rules of the other parameters.
    """
    return arguments.checked(**{name: RULES[name] for name in names}, **own)


__all__ = ["FLAG", "TEXT", "checked", "instance", "integer", "model_or_network", "model_or_segmenter"]

"""The protocol of data sets on disk, and errors that all layouts share."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from rapidseg.core.errors import DatasetError, InputError
from rapidseg.core.labels import LabelSet
from rapidseg.data.layouts.pairing import SplitFiles


class DatasetLayout(Protocol):
    """A data set on disk: its classes, its splits, and the files of each split."""

    name: str
    root: Path
    labels: LabelSet

    def splits(self) -> tuple[str, ...]:
        """Returns the names of the splits.

        Raises:
            DatasetError: there are none; the message says where they were expected.
        """

    def files(self, split: str) -> SplitFiles:
        """Finds the files of a split, without reading them.

        Raises:
            DatasetError: a folder is missing or contains no images.
        """


def take_labels(own: LabelSet, wanted: LabelSet | None) -> LabelSet:
    """Returns `wanted`, or a data set's own labels if it is None.

    Raises:
        InputError: `wanted` has another number of classes.
    """
    if wanted is None:
        return own
    if wanted.num_classes != own.num_classes:
        raise InputError(
            f"labels has {wanted.num_classes} classes, but the data set has {own.num_classes}; pass "
            f"{own.num_classes}, or merge and drop classes with the label_map of a YAML file (docs/data.md)"
        )
    return wanted


def wrong_root(name: str, root: Path, looked_for: list[str], expected: str, candidates: list[Path]) -> DatasetError:
    """Returns the error for a root that does not contain the data set.

    Args:
        name: name of the data set in messages.
        root: the folder that the user passed.
        looked_for: folders in `root`, at least one of which is needed.
        expected: the expected files, one pattern per line.
        candidates: other folders that contain the data set.
    """
    if not root.is_dir():
        actual = "this folder does not exist" if not root.exists() else "this is a file, not a folder"
    else:
        entries = sorted(entry.name for entry in root.iterdir())
        shown = ", ".join(entries[:6]) + (", ..." if len(entries) > 6 else "")
        actual = f"it contains {shown}" if entries else "it is empty"
    advice = (
        f"did you mean {candidates[0]}?"
        if candidates
        else "pass the folder that contains them (--root DIR; root= in Python)"
    )
    wanted = " or ".join(looked_for)
    return DatasetError(
        f"no {name} data set at {root}: looked for {wanted}, but {actual}. Expected:\n{expected}{advice}"
    )


def nearby_folders(root: Path) -> list[Path]:
    """Returns folders that may contain a data set that is not in `root`: one level down, then one level up."""
    try:
        below = sorted(entry for entry in root.iterdir() if entry.is_dir())
    except OSError:
        below = []
    return [*below, root.parent]

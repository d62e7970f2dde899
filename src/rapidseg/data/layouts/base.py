"""What every way of keeping a data set on disk has in common."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from rapidseg.core.errors import DatasetError, InputError
from rapidseg.core.labels import LabelSet
from rapidseg.data.layouts.pairing import SplitFiles


class Layout(Protocol):
    """A data set on disk: its classes, its splits, and the files of each split."""

    name: str
    root: Path
    labels: LabelSet

    def splits(self) -> tuple[str, ...]:
        """Returns the splits that are there.

        Raises:
            DatasetError: there is none; the message says what was looked for.
        """

    def files(self, split: str) -> SplitFiles:
        """Finds the files of one split, without reading them.

        Raises:
            DatasetError: a folder is missing or holds no images.
        """


def take_labels(own: LabelSet, wanted: LabelSet | None) -> LabelSet:
    """Returns `wanted`, or a data set's own labels if it is None.

    Raises:
        InputError: the number of classes is another.
    """
    if wanted is None:
        return own
    if wanted.num_classes != own.num_classes:
        raise InputError(
            f"the labels given have {wanted.num_classes} classes, the data set has {own.num_classes}; give as many, "
            "or merge and drop classes with the label_map of a YAML file (docs/data.md)"
        )
    return wanted


def wrong_root(name: str, root: Path, looked_for: list[str], expected: str, candidates: list[Path]) -> DatasetError:
    """Returns the error for a root that does not hold the data set.

    Args:
        name: what the data set is called in messages.
        root: the folder that was given.
        looked_for: folders below `root`, of which one at least must be there.
        expected: the layout, drawn in a line or several.
        candidates: other folders that do hold the data set.
    """
    if not root.is_dir():
        found = "that folder does not exist" if not root.exists() else "that is a file, not a folder"
    else:
        entries = sorted(entry.name for entry in root.iterdir())
        shown = ", ".join(entries[:6]) + (", ..." if len(entries) > 6 else "")
        found = f"it holds {shown}" if entries else "it is empty"
    advice = f"did you mean root={candidates[0]}?" if candidates else "give the folder that holds them as root"
    wanted = " or ".join(looked_for)
    return DatasetError(
        f"no {name} data set at {root}: looked for {wanted}, but {found}. Expected:\n{expected}{advice}"
    )


def nearby_folders(root: Path) -> list[Path]:
    """Returns the folders in which a data set may be that is not at `root`: one level down, then one level up."""
    try:
        below = sorted(entry for entry in root.iterdir() if entry.is_dir())
    except OSError:
        below = []
    return [*below, root.parent]

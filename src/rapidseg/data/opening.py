"""Opens data sets by the name of a layout or by a YAML file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

from rapidseg.core.arguments import check_path, checked, instance
from rapidseg.core.errors import DatasetError, InputError, SplitError, nearest_hint
from rapidseg.core.labels import LabelSet
from rapidseg.core.printable import shortened
from rapidseg.data.dataset import Dataset
from rapidseg.data.layouts.camvid import CamVid
from rapidseg.data.layouts.cityscapes import Cityscapes, CityscapesCoarse
from rapidseg.data.layouts.dataset_layout import DatasetLayout
from rapidseg.data.layouts.pairing import SplitFiles
from rapidseg.data.layouts.yaml_dataset import YamlDataset

BUILT_IN_LAYOUTS: dict[str, type[CamVid] | type[Cityscapes]] = {
    layout.name: layout for layout in (CamVid, Cityscapes, CityscapesCoarse)
}

# YAML files that come with the package, by name.
BUNDLED_DESCRIPTIONS = {path.stem: path for path in (Path(__file__).parent / "layouts" / "descriptions").glob("*.yaml")}

_MAX_SHOWN = 3  # missing files that a message names


class HasSplits(Protocol):
    """Data with named splits."""

    name: str

    def splits(self) -> tuple[str, ...]:
        """Returns the names of the splits."""


@checked(
    name_or_path=check_path,
    root=check_path,
    split=instance(str, "a split, such as 'val', or several joined with +: 'train+val'"),
    labels=instance(LabelSet, "a LabelSet"),
)
def open_dataset(
    name_or_path: str | os.PathLike[str],
    root: str | os.PathLike[str] | None = None,
    split: str = "train",
    labels: LabelSet | None = None,
) -> Dataset:
    """Opens one or more splits of a data set. Finds the files, but reads none of them.

    Args:
        name_or_path: `camvid`, `cityscapes`, `cityscapes-coarse`, `synth-as-camvid`, or a YAML file that describes a
            data set.
        root: the data set's folder; not needed for a YAML file that sets `root`.
        split: a split such as `train`, or several joined with `+`: `train+val`.
        labels: the same number of classes, with other names, colors or another `ignore_index`.

    Raises:
        ConfigError: the YAML file does not validate.
        DatasetError: the data set is not in `root`, or a split does not exist, is empty, or lacks files.
        InputError: the name is unknown, `root` is missing, or `labels` has another number of classes.
    """
    layout = open_layout(name_or_path, root, labels)
    parts = []
    for part in parse_split(layout, split):
        files = layout.files(part)
        _refuse_gaps(layout, part, files)
        parts.append(Dataset(files.pairs, layout.labels, name=layout.name, split=part))
    return Dataset.join(parts)


def open_layout(
    name_or_path: str | os.PathLike[str],
    root: str | os.PathLike[str] | None = None,
    labels: LabelSet | None = None,
) -> DatasetLayout:
    """Opens a data set without choosing a split; arguments and errors are those of `open_dataset`."""
    name = os.fspath(name_or_path)
    if name in BUILT_IN_LAYOUTS or name in BUNDLED_DESCRIPTIONS:
        if root is None:
            raise InputError(
                f"{name} needs the folder of the data: pass --root DIR (root= in Python; data.root=DIR in training)"
            )
        if name in BUILT_IN_LAYOUTS:
            return BUILT_IN_LAYOUTS[name](root, labels)
        return YamlDataset(BUNDLED_DESCRIPTIONS[name], root, labels)
    if Path(name).suffix.lower() in (".yaml", ".yml") or Path(name).is_file():
        return YamlDataset(name, root, labels)
    known = (*BUILT_IN_LAYOUTS, *BUNDLED_DESCRIPTIONS)
    raise InputError(
        f"unknown data set {name!r}{nearest_hint(name, known)}; choose from {', '.join(known)}, or pass a YAML file "
        "that describes your own data (docs/data.md)"
    )


def parse_split(layout: HasSplits, split: str) -> tuple[str, ...]:
    """Returns the splits of a text such as `train+val`.

    Raises:
        SplitError: a split does not exist.
        DatasetError: a split is named twice.
    """
    names = tuple(name.strip() for name in split.split("+"))
    allowed = layout.splits()
    for name in names:
        if name not in allowed:
            hint = nearest_hint(name, allowed)
            raise SplitError(f"{layout.name} has no split {name!r}; available: {', '.join(allowed)}{hint}", allowed)
    if len(set(names)) < len(names):
        raise DatasetError(f"split {split!r} contains duplicates; name each split once")
    return names


def _refuse_gaps(layout: DatasetLayout, split: str, files: SplitFiles) -> None:
    if files.missing:
        count = len(files.missing)
        first = files.missing[:_MAX_SHOWN]
        shown = ", ".join(f"{shortened(missing.path)} ({shortened(missing.reason)})" for missing in first)
        if count > _MAX_SHOWN:
            shown += ", ..."
        advice = files.advice or "restore them, or remove the files that need them"
        raise DatasetError(
            f"{layout.name} {split}: {count} {'file is' if count == 1 else 'files are'} missing: {shown}; {advice}; "
            "`rapidseg data check` lists all of them"
        )
    if not files.pairs:
        raise DatasetError(
            f"{layout.name} {split}: no images found in {layout.root}; docs/data.md shows the expected folders"
        )

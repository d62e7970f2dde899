"""`open_dataset`: from the name of a layout or a YAML file to samples."""

from __future__ import annotations

import os
from pathlib import Path

from rapidseg.core.errors import DatasetError, InputError, nearest_hint
from rapidseg.core.labels import LabelSet
from rapidseg.data.dataset import Dataset
from rapidseg.data.layouts.base import Layout
from rapidseg.data.layouts.camvid import CamVid
from rapidseg.data.layouts.cityscapes import Cityscapes, CityscapesCoarse
from rapidseg.data.layouts.pairing import SplitFiles
from rapidseg.data.layouts.yaml_dataset import DescribedFolders

KINDS: dict[str, type[CamVid] | type[Cityscapes]] = {kind.name: kind for kind in (CamVid, Cityscapes, CityscapesCoarse)}

# Descriptions that come with the package, by name.
DESCRIBED = {path.stem: path for path in (Path(__file__).parent / "layouts" / "descriptions").glob("*.yaml")}

_SHOWN = 3  # missing files that an error names


def open_dataset(
    kind_or_yaml: str | os.PathLike[str],
    root: str | os.PathLike[str] | None = None,
    split: str = "train",
    labels: LabelSet | None = None,
) -> Dataset:
    """Opens one or several splits of a data set. Finds the files, reads none of them.

    Args:
        kind_or_yaml: `camvid`, `cityscapes`, `cityscapes-coarse`, `synth-as-camvid`, or a YAML file that describes a
            data set.
        root: the data set's folder; a YAML file may state it itself.
        split: a split such as `train`, or several joined: `train+val`.
        labels: as many classes with other names, colors or another `ignore_index`.

    Raises:
        ConfigError: the YAML file does not validate.
        DatasetError: the root does not hold the data set, a split is not there, is empty, or lacks files.
        InputError: the kind is unknown, the root is missing, or `labels` has another number of classes.
    """
    layout = open_layout(kind_or_yaml, root, labels)
    parts = []
    for part in split_names(layout, split):
        files = layout.files(part)
        _refuse_gaps(layout, part, files)
        parts.append(Dataset(files.pairs, layout.labels, name=layout.name, split=part))
    return Dataset.join(parts)


def open_layout(
    kind_or_yaml: str | os.PathLike[str],
    root: str | os.PathLike[str] | None = None,
    labels: LabelSet | None = None,
) -> Layout:
    """Opens a data set without choosing a split; arguments and errors are those of `open_dataset`."""
    word = os.fspath(kind_or_yaml)
    if word in KINDS or word in DESCRIBED:
        if root is None:
            raise InputError(f"{word} needs the folder that holds the data: give it as root")
        return KINDS[word](root, labels) if word in KINDS else DescribedFolders(DESCRIBED[word], root, labels)
    if Path(word).suffix.lower() in (".yaml", ".yml") or Path(word).is_file():
        return DescribedFolders(word, root, labels)
    known = (*KINDS, *DESCRIBED)
    raise InputError(
        f"unknown data set {word!r}; give {', '.join(known)}, or a YAML file (.yaml) that describes your own data "
        f"(docs/data.md){nearest_hint(word, known)}"
    )


def split_names(layout: Layout, split: str) -> tuple[str, ...]:
    """Returns the splits that `train+val` and the like name.

    Raises:
        DatasetError: one of them is not there.
    """
    names = tuple(name.strip() for name in split.split("+"))
    allowed = layout.splits()
    for name in names:
        if name not in allowed:
            raise DatasetError(
                f"{layout.name} has no split {name!r}; it has {', '.join(allowed)}{nearest_hint(name, allowed)}"
            )
    if len(set(names)) < len(names):
        raise DatasetError(f"split {split!r} names a split twice; name each split once")
    return names


def _refuse_gaps(layout: Layout, split: str, files: SplitFiles) -> None:
    if files.missing:
        count = len(files.missing)
        shown = ", ".join(f"{missing.path} ({missing.reason})" for missing in files.missing[:_SHOWN])
        raise DatasetError(
            f"{layout.name} {split}: {count} {'file is' if count == 1 else 'files are'} missing: {shown}"
            f"{', ...' if count > _SHOWN else ''}; {files.advice or 'restore them, or take away what needs them'}; "
            "`rapidseg data check` lists all"
        )
    if not files.pairs:
        raise DatasetError(
            f"{layout.name} {split}: no images found below {layout.root}; see the layouts in docs/data.md"
        )

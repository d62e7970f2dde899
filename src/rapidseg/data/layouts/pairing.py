"""Finding which mask belongs to which image."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rapidseg.core.errors import DatasetError
from rapidseg.data.masks import MaskFormat


@dataclass(frozen=True)
class Pair:
    """An image file, its mask file, what the mask's pixels stand for, and the name of the sample."""

    name: str
    image: Path
    mask: Path
    mask_format: MaskFormat


@dataclass(frozen=True)
class MissingFile:
    """A file that must be there and is not, and why it must."""

    path: Path
    reason: str


@dataclass(frozen=True)
class SplitFiles:
    """The files of one split.

    Attributes:
        pairs: images with their masks, in the order of their names or of the list.
        missing: masks that images lack, and listed files that do not exist.
        masks_without_image: mask files that belong to no image.
        advice: what to do about missing files, where something better is known than to restore them.
    """

    pairs: tuple[Pair, ...]
    missing: tuple[MissingFile, ...] = ()
    masks_without_image: tuple[Path, ...] = ()
    advice: str | None = None


def find_files(
    folder: Path, suffixes: Sequence[str], *, exclude: str | None = None, skip: Path | None = None
) -> dict[str, Path]:
    """Returns every file below `folder` that ends in a suffix, by its path below `folder` without that suffix.

    Suffixes are tried in their order, upper and lower case alike. Hidden files, those that end in `exclude` and those
    in the folder `skip` are left out. The keys are sorted.

    Raises:
        DatasetError: two files differ in their suffix only.
    """
    found: dict[str, Path] = {}
    for parent, folders, files in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if skip is None or Path(parent, name) != skip)
        for file in sorted(files):
            lower = file.lower()
            suffix = next((suffix for suffix in suffixes if lower.endswith(suffix.lower())), None)
            if suffix is None or file.startswith(".") or (exclude is not None and lower.endswith(exclude.lower())):
                continue
            path = Path(parent, file)
            key = path.relative_to(folder).as_posix()[: -len(suffix)]
            if key in found:
                raise DatasetError(
                    f"{found[key]} and {path.name} have the same name, so it is not clear which one to take; remove "
                    "one of them, or state the suffix of the right ones in a YAML file (docs/data.md)"
                )
            found[key] = path
    return dict(sorted(found.items()))


def pair_files(
    images: Mapping[str, Path],
    masks: Sequence[tuple[Mapping[str, Path], MaskFormat]],
    expected_mask: Callable[[str], Path],
) -> SplitFiles:
    """Pairs images and masks of the same key.

    Args:
        images: image file of each key.
        masks: mask file of each key, with the format of those files; where several have a key, the first counts.
        expected_mask: gives the mask file that the image of a key ought to have, for the report of a missing one.
    """
    pairs, missing = [], []
    for key, image in images.items():
        found = next(((files[key], mask_format) for files, mask_format in masks if key in files), None)
        if found is None:
            missing.append(MissingFile(expected_mask(key), f"mask of {image}"))
        else:
            pairs.append(Pair(key, image, *found))
    unpaired = {path for files, _ in masks for key, path in files.items() if key not in images}
    return SplitFiles(tuple(pairs), tuple(missing), tuple(sorted(unpaired)))

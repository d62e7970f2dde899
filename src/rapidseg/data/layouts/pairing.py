"""Finds files, and pairs images with masks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rapidseg.core.errors import DatasetError, InputError
from rapidseg.data.masks import MaskFormat
from rapidseg.imaging.folders import is_unread_picture, walk_folders


@dataclass(frozen=True)
class Pair:
    """An image file with its mask file, the format of the mask, and the name of the sample."""

    name: str
    image: Path
    mask: Path
    mask_format: MaskFormat


@dataclass(frozen=True)
class MissingFile:
    """A file that is needed but does not exist, and why it is needed."""

    path: Path
    reason: str


@dataclass(frozen=True)
class SplitFiles:
    """The files of a split.

    Attributes:
        pairs: images with their masks, sorted by name, or in the order of the list.
        missing: masks of images, and listed files, that do not exist.
        masks_without_image: mask files that do not belong to an image.
        advice: what to do about missing files, if there is something better than to restore them.
        unread_pictures: pictures beside the images that are in formats which are not read.
        repeated_lines: lists with lines that repeat an earlier line, and which.
    """

    pairs: tuple[Pair, ...]
    missing: tuple[MissingFile, ...] = ()
    masks_without_image: tuple[Path, ...] = ()
    advice: str | None = None
    unread_pictures: tuple[Path, ...] = ()
    repeated_lines: tuple[tuple[Path, str], ...] = ()


def find_files(
    folder: Path, suffixes: Sequence[str], *, exclude: str | None = None, skip: Path | None = None
) -> dict[str, Path]:
    """Returns all files in `folder` and its subfolders, each folder once, that end in one of the suffixes.

    Suffixes are tried in order, ignoring case. Hidden files and folders, folders of systems and tools, files that end
    in `exclude` and files in the folder `skip` are skipped.

    Returns:
        The files by key, sorted by key: the path relative to `folder`, without the suffix, with `/`.

    Raises:
        DatasetError: two files differ only in their suffix, or a folder cannot be listed.
    """
    files_by_key: dict[str, Path] = {}
    for path in walk_files(folder, skip=skip):
        lower = path.name.lower()
        suffix = next((suffix for suffix in suffixes if lower.endswith(suffix.lower())), None)
        if suffix is None or (exclude is not None and lower.endswith(exclude.lower())):
            continue
        key = path.relative_to(folder).as_posix()[: -len(suffix)]
        if key in files_by_key:
            raise DatasetError(
                f"{files_by_key[key]} and {path.name} have the same name, so it is unclear which to use; remove "
                "one of them, or set the suffix in a YAML file (docs/data.md)"
            )
        files_by_key[key] = path
    return dict(sorted(files_by_key.items()))


def walk_files(folder: Path, *, skip: Path | None = None) -> Iterator[Path]:
    """Yields all files in a folder and its subfolders that are not hidden, as `walk_folders` does.

    Raises:
        DatasetError: a folder cannot be listed.
    """
    try:
        for found in walk_folders(folder, skip=skip):
            yield from (found.path / name for name in found.files)
    except InputError as error:
        raise DatasetError(str(error)) from error


def find_unread_pictures(folder: Path, *, skip: Path | None = None) -> tuple[Path, ...]:
    """Returns the pictures in a folder and its subfolders whose format is not read, such as HEIC, sorted."""
    return tuple(sorted(path for path in walk_files(folder, skip=skip) if is_unread_picture(path.name)))


def pair_files(
    images: Mapping[str, Path],
    masks: Sequence[tuple[Mapping[str, Path], MaskFormat]],
    expected_mask: Callable[[str], Path],
) -> SplitFiles:
    """Pairs images and masks of the same key.

    Args:
        images: image files by key.
        masks: mask files by key, with their format; if several have a key, the first is used.
        expected_mask: returns the expected mask file of a key, to report it as missing.
    """
    pairs, missing = [], []
    for key, image in images.items():
        mask = next(((files[key], mask_format) for files, mask_format in masks if key in files), None)
        if mask is None:
            missing.append(MissingFile(expected_mask(key), f"mask of {image}"))
        else:
            pairs.append(Pair(key, image, *mask))
    unpaired = {path for files, _ in masks for key, path in files.items() if key not in images}
    return SplitFiles(tuple(pairs), tuple(missing), tuple(sorted(unpaired)))

"""Data sets in any folders, which a YAML file describes."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from rapidseg.core.errors import ConfigError, DatasetError
from rapidseg.core.labels import LabelSet
from rapidseg.core.os_errors import is_folder
from rapidseg.core.printable import shortened
from rapidseg.data.layouts.dataset_layout import take_labels
from rapidseg.data.layouts.list_files import Line, name_advice, pair_advice, read_lines, without_repetitions
from rapidseg.data.layouts.missing_masks import missing_masks_advice
from rapidseg.data.layouts.pairing import (
    MissingFile,
    Pair,
    SplitFiles,
    find_files,
    find_unread_pictures,
    pair_files,
    walk_files,
)
from rapidseg.data.layouts.yaml_schema import read_description
from rapidseg.imaging import IMAGE_SUFFIXES
from rapidseg.imaging.folders import Skipped

_MAX_EXPLAINED = 100  # unknown lines of a list that are looked at for advice


class YamlDataset:
    """A data set that a YAML file describes.

    Args:
        path: the YAML file.
        root: folder that paths in the file are relative to; overrides `root` in the file.
        labels: the same number of classes, with other names, colors or another `ignore_index`.

    Raises:
        ConfigError: the file cannot be read or is not valid.
        DatasetError: the root does not exist.
    """

    def __init__(
        self, path: str | os.PathLike[str], root: str | os.PathLike[str] | None = None, labels: LabelSet | None = None
    ) -> None:
        self.path = Path(path)
        self.description = read_description(self.path)
        self.name = self.description.name or self.path.stem
        self.root = self.path.parent / self.description.root if root is None else Path(root)
        self.labels = take_labels(self.description.label_set(), labels)
        self._masks = self.description.masks(self.labels.ignore_index)
        if not os.path.isdir(self.root):
            raise DatasetError(
                f"{self.path}: its root {shortened(self.root)} is not a folder; correct `root` (relative to the YAML "
                "file), or pass --root DIR (root= in Python; data.root=DIR in training)"
            )

    def splits(self) -> tuple[str, ...]:
        return tuple(self.description.splits)

    def files(self, split: str) -> SplitFiles:
        description = self.description.splits[split]
        listed: list[Line] = []
        repeated: list[str] = []
        if description.list is not None:
            where = f"{self.path}: the list of split {split!r}, {shortened(self.root / description.list)}"
            listed, repeated = without_repetitions(read_lines(self.root / description.list, where))
        repetitions = tuple((self.root / (description.list or ""), line) for line in repeated)
        if description.images is None or description.masks is None:
            return replace(self._listed_pairs(listed), repeated_lines=repetitions)
        images, masks = self._folder(split, description.images), self._folder(split, description.masks)
        image_files, mask_files = self._find(images, masks)
        unread = () if self.description.image_suffix else find_unread_pictures(images, skip=masks)
        if not image_files:
            suffix = self.description.image_suffix or "a supported image suffix"
            raise DatasetError(
                f"{self.path}: no file of split {split!r} in {shortened(images)} ends in {suffix}; {_contents(images)}"
                "correct `images` or `image_suffix`"
            )
        if description.list is not None:
            files = self._listed_names(listed, images, masks, image_files, mask_files)
        else:
            files = pair_files(image_files, [(mask_files, self._masks)], lambda key: self._mask_path(masks, key))
            files = replace(files, advice=self._missing_advice(files, image_files, masks))
        return replace(files, unread_pictures=unread, repeated_lines=repetitions)

    def _missing_advice(self, files: SplitFiles, image_files: dict[str, Path], masks: Path) -> str | None:
        """Returns how the masks may be named where at least half of the images have none."""
        if 2 * len(files.missing) < len(image_files) or not files.missing:
            return None
        paired = {pair.name for pair in files.pairs}
        unpaired = {key: image for key, image in image_files.items() if key not in paired}
        return missing_masks_advice(unpaired, masks, self.description.mask_suffix, self.root)

    def _find(self, images: Path, masks: Path) -> tuple[dict[str, Path], dict[str, Path]]:
        image_suffix, mask_suffix = self.description.image_suffix, self.description.mask_suffix
        suffixes = IMAGE_SUFFIXES if image_suffix is None else (image_suffix,)
        if images.resolve() != masks.resolve():
            # One folder may be inside the other.
            return (
                find_files(images, suffixes, skip=masks),
                find_files(masks, (mask_suffix,), skip=images),
            )
        if image_suffix is None or image_suffix == mask_suffix:
            raise ConfigError(
                f"{self.path}: images and masks are in the same folder {images}; distinguish them with different "
                "`image_suffix` and `mask_suffix`"
            )
        # If one suffix ends in the other (`.png` and `_mask.png`), the longer one wins.
        longer = max(image_suffix, mask_suffix, key=len)
        return (
            find_files(images, suffixes, exclude=longer if image_suffix != longer else None),
            find_files(masks, (mask_suffix,), exclude=longer if mask_suffix != longer else None),
        )

    def _folder(self, split: str, folder: Path) -> Path:
        path = self.root / folder
        if not is_folder(path):
            raise DatasetError(
                f"{self.path}: the folder {shortened(path)} of split {split!r} does not exist; correct the path"
            )
        return path

    def _mask_path(self, masks: Path, key: str) -> Path:
        return masks / f"{key}{self.description.mask_suffix}"

    def _listed_path(self, part: str) -> Path:
        """Returns an absolute path if it exists, else the path below the root, for lists made on another machine."""
        path = Path(part)
        return path if path.is_absolute() and _is_file(path) else self.root / part.lstrip("/")

    def _listed_names(
        self, listed: list[Line], images: Path, masks: Path, image_files: dict[str, Path], mask_files: dict[str, Path]
    ) -> SplitFiles:
        """Pairs listed images: each line is a path below the folder of images, with or without suffix."""
        by_path = {path.relative_to(images).as_posix(): key for key, path in image_files.items()}
        chosen, missing, unknown = {}, [], []
        for line in listed:
            key = by_path.get(line.text, line.text)
            if key in image_files:
                chosen[key] = image_files[key]
            else:
                unknown.append(line)
                missing.append(MissingFile(images / line.text, "in the list"))
        advice = next(filter(None, (name_advice(line, by_path, images) for line in unknown[:_MAX_EXPLAINED])), None)
        paired = pair_files(chosen, [(mask_files, self._masks)], lambda key: self._mask_path(masks, key))
        if advice is None and not missing:
            advice = self._missing_advice(paired, chosen, masks)
        # Masks of images that are not listed are not reported as unpaired: other splits may list them.
        return SplitFiles(paired.pairs, (*missing, *paired.missing), advice=advice)

    def _listed_pairs(self, listed: list[Line]) -> SplitFiles:
        """Pairs listed files: each line is an image and its mask in the root, separated by a tab, comma or space."""
        pairs, missing, advice = [], [], None
        masks_by_image: dict[Path, Line] = {}
        for line in listed:
            separator = next((mark for mark in ("\t", ",") if mark in line.text), None)
            parts = [part.strip() for part in line.text.split(separator)]
            if len(parts) != 2:
                explained = pair_advice(line, self.root)
                raise DatasetError(
                    f"{self.path}: the list has the line {shortened(line.text)!r}; without `images` and `masks`, each "
                    "line is the path of an image and the path of its mask, separated by a tab, a comma or a space"
                    + ("" if explained is None else f"; {explained}")
                )
            image, mask = (self._listed_path(part) for part in parts)
            absent = [path for path in (image, mask) if not _is_file(path)]
            missing += [MissingFile(path, "in the list") for path in absent]
            if absent:
                advice = advice or pair_advice(line, self.root)
                continue
            first = masks_by_image.setdefault(image, line)
            if first is not line:
                raise DatasetError(
                    f"{self.path}: the list has two masks for {image}, in {first}, and in {line}; delete one of them"
                )
            pairs.append(Pair(Path(parts[0].lstrip("/")).with_suffix("").as_posix(), image, mask, self._masks))
        return SplitFiles(tuple(pairs), tuple(missing), advice=advice)


def _is_file(path: Path) -> bool:
    """Tells whether a path leads to a file; names that the system refuses do not."""
    try:
        return path.is_file()
    except OSError:
        return False


def _contents(folder: Path) -> str:
    """Returns `it contains 3 files of other formats (HEIC); `, or an empty text for an empty folder."""
    skipped = Skipped()
    for path in walk_files(folder):
        skipped.add_file(path.name)
    return f"it contains {skipped}; " if skipped else ""

"""Data sets in any folders, which a YAML file describes."""

from __future__ import annotations

import os
from pathlib import Path

from rapidseg.core.errors import ConfigError, DatasetError
from rapidseg.core.labels import LabelSet
from rapidseg.data.layouts.dataset_layout import take_labels
from rapidseg.data.layouts.pairing import MissingFile, Pair, SplitFiles, find_files, pair_files
from rapidseg.data.layouts.yaml_schema import read_description
from rapidseg.imaging import IMAGE_SUFFIXES


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
        if not self.root.is_dir():
            raise DatasetError(
                f"{self.path}: its root {self.root} is not a folder; correct `root` (relative to the YAML file), or "
                "pass --root DIR (root= in Python; data.root=DIR in training)"
            )

    def splits(self) -> tuple[str, ...]:
        return tuple(self.description.splits)

    def files(self, split: str) -> SplitFiles:
        description = self.description.splits[split]
        listed = None if description.list is None else self._read_list(split, description.list)
        if description.images is None or description.masks is None:
            return self._listed_pairs(listed or [])
        images, masks = self._folder(split, description.images), self._folder(split, description.masks)
        image_files, mask_files = self._find(images, masks)
        if not image_files:
            suffix = self.description.image_suffix or "a supported image suffix"
            raise DatasetError(
                f"{self.path}: no file of split {split!r} in {images} ends in {suffix}; correct `images` or "
                "`image_suffix`"
            )
        if listed is not None:
            return self._listed_names(listed, images, masks, image_files, mask_files)
        return pair_files(image_files, [(mask_files, self._masks)], lambda key: self._mask_path(masks, key))

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
        if not path.is_dir():
            raise DatasetError(f"{self.path}: the folder {path} of split {split!r} does not exist; correct the path")
        return path

    def _mask_path(self, masks: Path, key: str) -> Path:
        return masks / f"{key}{self.description.mask_suffix}"

    def _listed_path(self, part: str) -> Path:
        """Returns an absolute path if it exists, else the path below the root, for lists made on another machine."""
        path = Path(part)
        return path if path.is_absolute() and path.is_file() else self.root / part.lstrip("/")

    def _read_list(self, split: str, path: Path) -> list[str]:
        try:
            lines = (self.root / path).read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise DatasetError(
                f"{self.path}: the list of split {split!r}, {self.root / path}, cannot be read: {reason}; use a "
                "text file with one image per line"
            ) from error
        return [line.strip() for line in lines if line.strip()]

    def _listed_names(
        self, listed: list[str], images: Path, masks: Path, image_files: dict[str, Path], mask_files: dict[str, Path]
    ) -> SplitFiles:
        """Pairs listed images: each line is a path below the folder of images, with or without suffix."""
        by_path = {path.relative_to(images).as_posix(): key for key, path in image_files.items()}
        chosen, missing = {}, []
        for name in listed:
            key = by_path.get(name, name)
            if key in image_files:
                chosen[key] = image_files[key]
            else:
                missing.append(MissingFile(images / name, "in the list"))
        paired = pair_files(chosen, [(mask_files, self._masks)], lambda key: self._mask_path(masks, key))
        # Masks of images that are not listed are not reported as unpaired: other splits may list them.
        return SplitFiles(paired.pairs, (*missing, *paired.missing))

    def _listed_pairs(self, listed: list[str]) -> SplitFiles:
        """Pairs listed files: each line is an image and its mask in the root, separated by a tab, comma or space."""
        pairs, missing = [], []
        for line in listed:
            separator = next((mark for mark in ("\t", ",") if mark in line), None)
            parts = [part.strip() for part in line.split(separator)]
            if len(parts) != 2:
                raise DatasetError(
                    f"{self.path}: the list has the line {line!r}; without `images` and `masks`, each line is the path "
                    "of an image and the path of its mask, separated by a tab, a comma or a space"
                )
            image, mask = (self._listed_path(part) for part in parts)
            absent = [path for path in (image, mask) if not path.is_file()]
            missing += [MissingFile(path, "in the list") for path in absent]
            if not absent:
                pairs.append(Pair(Path(parts[0].lstrip("/")).with_suffix("").as_posix(), image, mask, self._masks))
        return SplitFiles(tuple(pairs), tuple(missing))

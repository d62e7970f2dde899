"""Any pair of folders, described by a YAML file."""

from __future__ import annotations

import os
from pathlib import Path

from rapidseg.core.errors import ConfigError, DatasetError
from rapidseg.core.labels import LabelSet
from rapidseg.data.layouts.base import take_labels
from rapidseg.data.layouts.pairing import MissingFile, Pair, SplitFiles, find_files, pair_files
from rapidseg.data.layouts.yaml_schema import read_description
from rapidseg.imaging import IMAGE_SUFFIXES


class DescribedFolders:
    """A data set that a YAML file describes.

    Args:
        path: the YAML file.
        root: folder that paths in the file are relative to; takes the place of the file's own `root`.
        labels: as many classes with other names, colors or another `ignore_index`.

    Raises:
        ConfigError: the file cannot be read or does not validate.
        DatasetError: the root does not exist.
    """

    def __init__(
        self, path: str | os.PathLike[str], root: str | os.PathLike[str] | None = None, labels: LabelSet | None = None
    ) -> None:
        self.path = Path(path)
        self.description = read_description(self.path)
        self.name = self.description.name or self.path.stem
        self.root = self.path.parent / self.description.root.expanduser() if root is None else Path(root)
        self.labels = take_labels(self.description.label_set(), labels)
        self._masks = self.description.masks(self.labels.ignore_index)
        if not self.root.is_dir():
            raise DatasetError(
                f"{self.path}: its root {self.root} is not a folder; correct `root` (relative to the YAML file), or "
                "give the root beside the YAML file"
            )

    def splits(self) -> tuple[str, ...]:
        return tuple(self.description.splits)

    def files(self, split: str) -> SplitFiles:
        described = self.description.splits[split]
        listed = None if described.list is None else self._read_list(split, described.list)
        if described.images is None or described.masks is None:
            return self._listed_pairs(listed or [])
        images, masks = self._folder(split, described.images), self._folder(split, described.masks)
        found_images, found_masks = self._find(images, masks)
        if not found_images:
            wanted = self.description.image_suffix or "the suffix of an image"
            raise DatasetError(
                f"{self.path}: no file of split {split!r} below {images} ends in {wanted}; correct `images` or "
                "`image_suffix`"
            )
        if listed is not None:
            return self._listed_names(listed, images, masks, found_images, found_masks)
        return pair_files(found_images, [(found_masks, self._masks)], lambda key: self._mask_path(masks, key))

    def _find(self, images: Path, masks: Path) -> tuple[dict[str, Path], dict[str, Path]]:
        image_suffix, mask_suffix = self.description.image_suffix, self.description.mask_suffix
        suffixes = IMAGE_SUFFIXES if image_suffix is None else (image_suffix,)
        if images.resolve() != masks.resolve():
            # The folder of the ones may lie within the folder of the others.
            return (
                find_files(images, suffixes, skip=masks),
                find_files(masks, (mask_suffix,), skip=images),
            )
        if image_suffix is None or image_suffix == mask_suffix:
            raise ConfigError(
                f"{self.path}: images and masks share the folder {images}; tell them apart with different "
                "`image_suffix` and `mask_suffix`"
            )
        # Where one suffix ends in the other (`.png` and `_mask.png`), the longer one decides.
        longer = max(image_suffix, mask_suffix, key=len)
        return (
            find_files(images, suffixes, exclude=longer if image_suffix != longer else None),
            find_files(masks, (mask_suffix,), exclude=longer if mask_suffix != longer else None),
        )

    def _folder(self, split: str, folder: Path) -> Path:
        path = self.root / folder
        if not path.is_dir():
            raise DatasetError(
                f"{self.path}: split {split!r} names the folder {path}, which does not exist; correct it"
            )
        return path

    def _mask_path(self, masks: Path, key: str) -> Path:
        return masks / f"{key}{self.description.mask_suffix}"

    def _listed_path(self, part: str) -> Path:
        """Takes a path as it stands if a file is there; else below the root, for lists made on another machine."""
        path = Path(part)
        return path if path.is_absolute() and path.is_file() else self.root / part.lstrip("/")

    def _read_list(self, split: str, path: Path) -> list[str]:
        try:
            lines = (self.root / path).read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise DatasetError(
                f"{self.path}: the list of split {split!r}, {self.root / path}, cannot be read: {reason}; give a "
                "text file with one image a line"
            ) from error
        return [line.strip() for line in lines if line.strip()]

    def _listed_names(
        self, listed: list[str], images: Path, masks: Path, found_images: dict[str, Path], found_masks: dict[str, Path]
    ) -> SplitFiles:
        """Pairs the images that are listed by their names, with or without suffix, below the images' folder."""
        by_path = {path.relative_to(images).as_posix(): key for key, path in found_images.items()}
        chosen, missing = {}, []
        for name in listed:
            key = by_path.get(name, name)
            if key in found_images:
                chosen[key] = found_images[key]
            else:
                missing.append(MissingFile(images / name, "listed"))
        paired = pair_files(chosen, [(found_masks, self._masks)], lambda key: self._mask_path(masks, key))
        # Masks of images that the list leaves out are not unpaired: other splits may list them.
        return SplitFiles(paired.pairs, (*missing, *paired.missing))

    def _listed_pairs(self, listed: list[str]) -> SplitFiles:
        """Takes lines of an image's and a mask's path, both below the root, with a tab, comma or space between them."""
        pairs, missing = [], []
        for line in listed:
            separator = next((mark for mark in ("\t", ",") if mark in line), None)
            parts = [part.strip() for part in line.split(separator)]
            if len(parts) != 2:
                raise DatasetError(
                    f"{self.path}: the list has the line {line!r}; without `images` and `masks`, each line is the path "
                    "of an image and the path of its mask, with a tab, a comma or a space between them"
                )
            image, mask = (self._listed_path(part) for part in parts)
            absent = [path for path in (image, mask) if not path.is_file()]
            missing += [MissingFile(path, "listed") for path in absent]
            if not absent:
                pairs.append(Pair(Path(parts[0].lstrip("/")).with_suffix("").as_posix(), image, mask, self._masks))
        return SplitFiles(tuple(pairs), tuple(missing))

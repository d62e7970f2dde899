"""Folders of images: one folder per class, or images without classes."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing

import numpy as np

from rapidseg.core.errors import DatasetError
from rapidseg.core.parallel import ordered_map
from rapidseg.core.progress import Progress
from rapidseg.data.classification.file_trees import FileTree, join
from rapidseg.data.classification.image_sources import EncodedImages
from rapidseg.data.classification.labeled_images import LabeledImages
from rapidseg.imaging import IMAGE_SUFFIXES
from rapidseg.system.cpu import cpu_count

_MAX_SHOWN = 3  # folders that a message names


class ClassFolders:
    """One folder per class, in each split: `train/CLASS/**/*.JPEG`, `val/CLASS/**/*.JPEG`.

    Ids follow the sorted names of the class folders of the split `train`, or of the first split where there is no
    `train`. Files that are not images are ignored.

    Args:
        tree: the files.
        name: name of the data set.
        split_folders: the folder of each split in the tree.
    """

    def __init__(self, tree: FileTree, name: str, split_folders: Mapping[str, str]) -> None:
        self.name = name
        self._tree = tree
        self._split_folders = split_folders

    def splits(self) -> tuple[str, ...]:
        return tuple(self._split_folders)

    def open(self, splits: tuple[str, ...], progress: Progress) -> LabeledImages:
        """Finds the images of splits, and reads none of them.

        Raises:
            DatasetError: a split has no class folders, one that the split `train` lacks, or an empty one.
        """
        reference = "train" if "train" in self._split_folders else self.splits()[0]
        class_names = self._class_folders(reference)
        files: list[str] = []
        counts: list[int] = []
        class_ids: list[int] = []
        folders = [(split, name) for split in splits for name in self._known_folders(split, reference, class_names)]
        paths = [join(self._split_folders[split], name) for split, name in folders]
        with closing(ordered_map(self._tree.find_images, paths, threads=cpu_count())) as found:
            for (_, class_name), path, images in zip(folders, paths, found, strict=True):
                if not images:
                    raise DatasetError(
                        f"{self._tree.path / path}: this class folder contains no images "
                        f"({', '.join(IMAGE_SUFFIXES)}); add images or remove the folder. If it is not a class, "
                        "pass the folder that contains one folder per class, or train/CLASS"
                    )
                files += images
                counts.append(len(images))
                class_ids.append(class_names.index(class_name))
                progress.update("finding images", len(counts), len(folders))
        return LabeledImages(
            EncodedImages(self._tree, files),
            name=self.name,
            split="+".join(splits),
            class_names=class_names,
            labels=np.repeat(np.array(class_ids), counts),
        )

    def _class_folders(self, split: str) -> tuple[str, ...]:
        folder = self._split_folders[split]
        entries = self._tree.entries(folder)
        if not entries.folders:
            images = len(entries.images())
            actual = f"{images:,} images without class folders" if images else "no images"
            raise DatasetError(
                f"{self._tree.path / folder}: expected one folder per class, but it contains {actual}; for images "
                "without classes, set the layout to 'unlabeled'"
            )
        return entries.folders

    def _known_folders(self, split: str, reference: str, class_names: tuple[str, ...]) -> tuple[str, ...]:
        names = self._class_folders(split)
        unknown = [name for name in names if name not in class_names]
        if unknown:
            shown = ", ".join(unknown[:_MAX_SHOWN]) + (", ..." if len(unknown) > _MAX_SHOWN else "")
            raise DatasetError(
                f"{self._tree.path / self._split_folders[split]}: the class folder {shown} does not exist in "
                f"{self._tree.path / self._split_folders[reference]}, which defines the classes; rename or remove it, "
                "or add its training images"
            )
        return names


class UnlabeledImages:
    """Images without classes, at any depth; arguments as those of `ClassFolders`."""

    def __init__(self, tree: FileTree, name: str, split_folders: Mapping[str, str]) -> None:
        self.name = name
        self._tree = tree
        self._split_folders = split_folders

    def splits(self) -> tuple[str, ...]:
        return tuple(self._split_folders)

    def open(self, splits: tuple[str, ...], progress: Progress) -> LabeledImages:
        """Finds the images of splits, and reads none of them.

        Raises:
            DatasetError: a split has no images.
        """
        files: list[str] = []
        for done, folder in enumerate(map(self._split_folders.__getitem__, splits), 1):
            found = self._tree.find_images(folder)
            if not found:
                raise DatasetError(
                    f"{self._tree.path / folder}: contains no images ({', '.join(IMAGE_SUFFIXES)}); pass the folder "
                    "or .zip file that contains them"
                )
            files += found
            progress.update("finding images", done, len(splits))
        return LabeledImages(EncodedImages(self._tree, files), name=self.name, split="+".join(splits))

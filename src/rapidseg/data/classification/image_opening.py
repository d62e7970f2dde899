"""Opens images for pre-training: recognizes the layout of a folder or zip file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Protocol

from rapidseg.core.errors import DatasetError, InputError, nearest_hint
from rapidseg.core.progress import SILENT, Progress
from rapidseg.data.classification.cifar_layouts import CIFAR_FORMATS, CifarLayout
from rapidseg.data.classification.file_trees import Entries, FileTree, join, open_tree
from rapidseg.data.classification.folder_layouts import ClassFolders, UnlabeledImages
from rapidseg.data.classification.image_order import balanced_order
from rapidseg.data.classification.labeled_images import LabeledImages
from rapidseg.data.opening import parse_split

LAYOUTS = ("auto", *CIFAR_FORMATS, "class-folders", "unlabeled")

_SPLIT_FOLDERS = ("train", "val", "test", "valid", "validation")
_IMAGE_FOLDERS = ("images", "imgs", "jpegimages")
_MASK_FOLDERS = ("masks", "mask", "labels", "annotations", "segmentationclass")
_CITYSCAPES_FOLDERS = ("leftImg8bit", "gtFine", "gtCoarse")

_EXPECTED = """\
  train/CLASS/*.jpg, val/CLASS/*.jpg        one folder per class
  CLASS/*.jpg                               the same, with the split train only
  *.jpg                                     images without classes
  data_batch_1.bin ... or data_batch_1 ...  CIFAR-10, binary or Python version
  train.bin, test.bin or train, test, meta  CIFAR-100, binary or Python version
"""


class ImageLayout(Protocol):
    """Images in a folder or zip file, by split."""

    name: str

    def splits(self) -> tuple[str, ...]:
        """Returns the names of the splits."""

    def open(self, splits: tuple[str, ...], progress: Progress) -> LabeledImages:
        """Opens splits as one sequence.

        Raises:
            DatasetError: files are missing or damaged.
        """


def open_images(
    root: str | os.PathLike[str],
    split: str = "train",
    *,
    layout: str = "auto",
    limit: int | None = None,
    skip_unreadable: bool = False,
    progress: Progress = SILENT,
) -> LabeledImages:
    """Opens images with one class each, or without classes, from a folder or a .zip file that is read in place.

    Args:
        root: the folder or .zip file; a single folder in it that contains the data is entered.
        split: a split such as `train`, or several joined with `+`: `train+val`.
        layout: one of `LAYOUTS`; `auto` recognizes it.
        limit: take at most so many images, the first of a fixed order in which classes alternate.
        skip_unreadable: decode every image now and skip those that cannot be read; `skipped` names them. With a
            `limit`, fewer images than that may be left.
        progress: reports `finding images` or `reading images`, and `checking images` with `skip_unreadable`.

    Raises:
        DatasetError: `root` is missing or contains no such data, a split does not exist, a class folder is empty or
            not in the split `train`, or a file is damaged.
        InputError: `layout` is unknown or `limit` is less than 1.
    """
    if layout not in LAYOUTS:
        raise InputError(f"unknown layout {layout!r}; choose from {', '.join(LAYOUTS)}{nearest_hint(layout, LAYOUTS)}")
    if limit is not None and limit < 1:
        raise InputError(f"limit is {limit}; pass the number of images to take, 1 or more, or none to take all")
    found = _find_layout(open_tree(root), layout)
    images = found.open(parse_split(found, split), progress)
    if limit is not None:
        images = images.subset(balanced_order(len(images), images.labels)[:limit])
    return images.skip_unreadable(progress) if skip_unreadable else images


def _find_layout(tree: FileTree, layout: str) -> ImageLayout:
    folder = _enter_single_folders(tree)
    entries = tree.entries(folder)
    formats = _find_cifar(tree, folder)
    if layout in CIFAR_FORMATS:
        if layout not in formats:
            wanted = CIFAR_FORMATS[layout].expected_files()
            raise DatasetError(f"{tree.path}: no files of the layout {layout}: expected {wanted}{_hint(formats)}")
        return CifarLayout(tree, formats[layout], CIFAR_FORMATS[layout])
    if layout == "auto" and len(formats) > 1:
        raise DatasetError(f"{tree.path}: contains {' and '.join(formats)}; set the layout to one of them")
    if layout == "auto" and formats:
        ((name, cifar_folder),) = formats.items()
        return CifarLayout(tree, cifar_folder, CIFAR_FORMATS[name])

    splits = _split_folders(tree, folder, entries)
    if layout != "class-folders":
        _refuse_masks(tree, folder, entries, can_choose_split=layout == "unlabeled" and splits != {"train": folder})
    if layout == "auto":
        layout = _recognize_folders(tree, next(iter(splits.values())))
    kind = ClassFolders if layout == "class-folders" else UnlabeledImages
    path = tree.path.resolve()
    return kind(tree, path.name if path.is_dir() else path.stem, splits)


def _enter_single_folders(tree: FileTree) -> str:
    """Returns the folder of a tree that contains the data: not one whose only content is a folder that does."""
    folder, entries = "", tree.entries()
    while len(entries.folders) == 1 and not entries.images() and not _is_split_or_cifar(entries.folders[0]):
        inner = join(folder, entries.folders[0])
        inner_entries = tree.entries(inner)
        if not inner_entries.folders and not _find_cifar(tree, inner):  # the only class, or images without classes
            break
        folder, entries = inner, inner_entries
    return folder


def _is_split_or_cifar(name: str) -> bool:
    return name in _SPLIT_FOLDERS or any(name == cifar.folder for cifar in CIFAR_FORMATS.values())


def _find_cifar(tree: FileTree, folder: str) -> dict[str, str]:
    """Returns the folder of each version of CIFAR in a folder, by layout."""
    found: dict[str, str] = {}
    for layout, cifar in CIFAR_FORMATS.items():
        for candidate in (folder, join(folder, cifar.folder)):
            if layout not in found and cifar.is_in(tree, candidate):
                found[layout] = candidate
    return found


def _split_folders(tree: FileTree, folder: str, entries: Entries) -> Mapping[str, str]:
    """Returns the folder of each split: the folder itself as `train` where there are no folders of splits."""
    splits = {name: join(folder, name) for name in _SPLIT_FOLDERS if name in entries.folders}
    others = [
        name for name in entries.folders if name.removesuffix("annot") not in splits
    ]  # CamVid's masks: trainannot
    # Beside the folders of the classes bus and car, the folder train contains pictures of trains.
    is_class = all(not tree.entries(path).folders for path in splits.values()) and any(
        tree.entries(join(folder, name)).images() for name in others
    )
    return splits if splits and not is_class else {"train": folder}


def _recognize_folders(tree: FileTree, folder: str) -> str:
    """Returns the layout of the folder of a split."""
    entries = tree.entries(folder)
    images = entries.images()
    if images and entries.folders:
        raise DatasetError(
            f"{tree.path / folder}: contains {len(images):,} images directly and the folders "
            f"{', '.join(entries.folders[:3])}{', ...' if len(entries.folders) > 3 else ''}; set the layout to "
            "'class-folders' if these folders are classes (images beside them are ignored), or to 'unlabeled' for all "
            "images without classes"
        )
    if not images and not entries.folders:
        raise DatasetError(
            f"{tree.path / folder}: contains no images. Expected, in a folder or a .zip file:\n{_EXPECTED}"
        )
    if images:
        return "unlabeled"
    first = tree.entries(join(folder, entries.folders[0]))
    if any(name.endswith("_leftImg8bit.png") for name in first.images()):
        raise _segmentation_error(tree, folder, "Cityscapes images in folders of cities")
    return "class-folders"


def _refuse_masks(tree: FileTree, folder: str, entries: Entries, *, can_choose_split: bool) -> None:
    """Refuses folders of masks, which would otherwise be taken for images.

    Raises:
        DatasetError: the names of the folders are those of segmentation data.
    """
    by_lower = {name.lower(): name for name in entries.folders}
    annotated = [(name, f"{name}annot") for name in entries.folders if f"{name}annot" in entries.folders]
    image_folders = [by_lower[name] for name in _IMAGE_FOLDERS if name in by_lower]
    mask_folders = [by_lower[name] for name in _MASK_FOLDERS if name in by_lower]
    cityscapes = [name for name in _CITYSCAPES_FOLDERS if name in entries.folders]
    if annotated and not can_choose_split:  # otherwise only the folder of the split is searched
        raise _segmentation_error(tree, folder, f"the folders {' and '.join(annotated[0])}")
    if image_folders and mask_folders:
        raise _segmentation_error(tree, folder, f"the folders {image_folders[0]} and {mask_folders[0]}")
    if len(cityscapes) > 1:
        raise _segmentation_error(tree, folder, f"the folders {' and '.join(cityscapes)}")


def _segmentation_error(tree: FileTree, folder: str, reason: str) -> DatasetError:
    return DatasetError(
        f"{tree.path / folder}: looks like segmentation data ({reason}), not like images with one class each; to use "
        "its images without classes, pass the folder that contains the images alone and set the layout to 'unlabeled'"
    )


def _hint(formats: Mapping[str, str]) -> str:
    return f"; it contains {' and '.join(formats)}" if formats else "; pass the folder that contains them"

"""The folders and ids of Cityscapes (Cordts et al., CVPR 2016), which many other street data sets have taken over."""

from __future__ import annotations

import os
from pathlib import Path

from rapidseg.core.errors import DatasetError
from rapidseg.core.labels import CITYSCAPES, LabelSet
from rapidseg.data.layout import nearby_folders, take_labels, wrong_root
from rapidseg.data.masks import IdMasks
from rapidseg.data.pairing import SplitFiles, find_files, pair_files
from rapidseg.imaging import IMAGE_SUFFIXES

# Label id of each train id, from `labels.py` of cityscapesScripts. The other label ids up to 33 are not trained on.
LABEL_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
_NUM_LABEL_IDS = 34

_IMAGE_FOLDER, _MASK_FOLDER = "leftImg8bit", "gtFine"
_TRAIN_IDS, _LABEL_IDS = "_gtFine_labelTrainIds.png", "_gtFine_labelIds.png"

_EXPECTED = """\
  leftImg8bit/SPLIT/CITY/*_leftImg8bit.png
  gtFine/SPLIT/CITY/*_gtFine_labelTrainIds.png or *_gtFine_labelIds.png
"""


class Cityscapes:
    """Cityscapes on disk, or another data set in its layout.

    Where a mask is there in both ways, `labelTrainIds` is taken. In `labelIds` files the 15 label ids that the
    benchmark leaves out, and 255, are ignored.

    Args:
        root: the folder that holds `leftImg8bit` and `gtFine`.
        labels: 19 classes with other names, colours or another `ignore_index`.

    Raises:
        DatasetError: `root` does not hold that layout.
    """

    name = "cityscapes"

    def __init__(self, root: str | os.PathLike[str], labels: LabelSet | None = None) -> None:
        self.root = Path(root)
        self.labels = take_labels(CITYSCAPES, labels)
        ignored = self.labels.ignore_index
        train_ids = {train_id: train_id for train_id in range(len(LABEL_IDS))}
        label_ids = {label_id: train_id for train_id, label_id in enumerate(LABEL_IDS)}
        self._train_ids = IdMasks({**train_ids, 255: ignored}, ignored)
        self._label_ids = IdMasks({**dict.fromkeys([*range(_NUM_LABEL_IDS), 255], ignored), **label_ids}, ignored)
        if not _holds(self.root):
            candidates = [folder for folder in nearby_folders(self.root) if _holds(folder)]
            raise wrong_root("Cityscapes", self.root, [_IMAGE_FOLDER, _MASK_FOLDER], _EXPECTED, candidates)

    def splits(self) -> tuple[str, ...]:
        images, masks = _folders(self.root / _IMAGE_FOLDER), _folders(self.root / _MASK_FOLDER)
        # Cityscapes publishes images without masks for these two; anywhere else a missing folder is a mistake.
        unlabelled = {"test", "train_extra"} - masks
        names = (images | masks) - unlabelled
        return tuple(sorted(names, key=lambda name: ({"train": 0, "val": 1, "test": 2}.get(name, 3), name)))

    def files(self, split: str) -> SplitFiles:
        images, masks = self.root / _IMAGE_FOLDER / split, self.root / _MASK_FOLDER / split
        for folder in (images, masks):
            if not folder.is_dir():
                raise DatasetError(f"no folder {folder}; the images and masks of {split} are expected as\n{_EXPECTED}")
        suffixes = [f"_leftImg8bit{suffix}" for suffix in IMAGE_SUFFIXES]
        return pair_files(
            find_files(images, suffixes),
            [(find_files(masks, (_TRAIN_IDS,)), self._train_ids), (find_files(masks, (_LABEL_IDS,)), self._label_ids)],
            lambda key: masks / f"{key}{_TRAIN_IDS}",
        )


def _folders(parent: Path) -> set[str]:
    if not parent.is_dir():
        return set()
    return {entry.name for entry in parent.iterdir() if entry.is_dir() and not entry.name.startswith(".")}


def _holds(root: Path) -> bool:
    return (root / _IMAGE_FOLDER).is_dir() and (root / _MASK_FOLDER).is_dir()

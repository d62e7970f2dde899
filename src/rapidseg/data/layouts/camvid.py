"""CamVid with the 11 classes and the folders of SegNet (Badrinarayanan et al., 2015)."""

from __future__ import annotations

import os
from pathlib import Path

from rapidseg.core.errors import DatasetError
from rapidseg.core.labels import CAMVID, LabelSet
from rapidseg.data.layouts.dataset_layout import nearby_folders, take_labels, wrong_root
from rapidseg.data.layouts.pairing import SplitFiles, find_files, pair_files
from rapidseg.data.masks import IdMasks
from rapidseg.imaging import IMAGE_SUFFIXES

SPLITS = ("train", "val", "test")

_EXPECTED = """\
  train/*.png  trainannot/*.png   images, and masks of the same names: ids 0 to 10, 11 for unlabeled
  val/*.png    valannot/*.png
  test/*.png   testannot/*.png
"""


class CamVid:
    """CamVid on disk: images in `SPLIT`, masks of the same names in `SPLITannot`.

    Args:
        root: the folder that contains `train`, `trainannot` and so on.
        labels: 11 classes with other names, colors or another `ignore_index`.

    Raises:
        DatasetError: `root` does not contain CamVid.
    """

    name = "camvid"

    def __init__(self, root: str | os.PathLike[str], labels: LabelSet | None = None) -> None:
        self.root = Path(root)
        self.labels = take_labels(CAMVID, labels)
        ignored = self.labels.ignore_index
        colors = {color: index for index, color in enumerate(CAMVID.palette)}
        self._masks = IdMasks({**{i: i for i in range(11)}, CAMVID.ignore_index: ignored}, ignored, None, colors)
        if not _contains_camvid(self.root):
            candidates = [folder for folder in nearby_folders(self.root) if _contains_camvid(folder)]
            raise wrong_root("CamVid", self.root, ["train", "val", "test"], _EXPECTED, candidates)

    def splits(self) -> tuple[str, ...]:
        return tuple(
            split for split in SPLITS if (self.root / split).is_dir() or (self.root / f"{split}annot").is_dir()
        )

    def files(self, split: str) -> SplitFiles:
        images, masks = self.root / split, self.root / f"{split}annot"
        for folder in (images, masks):
            if not folder.is_dir():
                raise DatasetError(f"folder {folder} does not exist. Expected images and masks of CamVid:\n{_EXPECTED}")
        mask_files = find_files(masks, (".png",))
        return pair_files(
            find_files(images, IMAGE_SUFFIXES), [(mask_files, self._masks)], lambda key: masks / f"{key}.png"
        )


def _contains_camvid(root: Path) -> bool:
    return any((root / split).is_dir() and (root / f"{split}annot").is_dir() for split in SPLITS)

"""The folders and ids of Cityscapes (Cordts et al., CVPR 2016), which many other street data sets use as well."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from rapidseg.core.cityscapes_labels import CITYSCAPES_CLASSES, CITYSCAPES_LABELS, IGNORED
from rapidseg.core.errors import DatasetError
from rapidseg.core.labels import CITYSCAPES, LabelSet
from rapidseg.data.layouts.dataset_layout import nearby_folders, take_labels, wrong_root
from rapidseg.data.layouts.pairing import SplitFiles, find_files, pair_files
from rapidseg.data.masks import IdMasks
from rapidseg.imaging import IMAGE_SUFFIXES
from rapidseg.imaging.folders import is_hidden

LABEL_IDS = tuple(label.id for label in CITYSCAPES_CLASSES)  # of each train id

_IMAGE_FOLDER = "leftImg8bit"


class Cityscapes:
    """Cityscapes on disk with its fine annotations, or another data set in its layout.

    If an image has masks of both kinds, `labelTrainIds` is used. In `labelIds` files, the 15 label ids that are not
    scored and 255 are ignored.

    Args:
        root: the folder that contains `leftImg8bit` and `gtFine`.
        labels: 19 classes with other names, colors or another `ignore_index`.

    Raises:
        DatasetError: `root` does not contain these folders.
    """

    name = "cityscapes"
    mask_folder = "gtFine"

    def __init__(self, root: str | os.PathLike[str], labels: LabelSet | None = None) -> None:
        self.root = Path(root)
        self.labels = take_labels(CITYSCAPES, labels)
        ignored = self.labels.ignore_index
        train_ids = {train_id: train_id for train_id in range(len(LABEL_IDS))}
        label_ids = {label.id: label.train_id if label.is_scored else ignored for label in CITYSCAPES_LABELS}
        del label_ids[-1]  # `license plate`, which is in no mask
        colors = {color: index for index, color in enumerate(CITYSCAPES.palette)}
        self._train_ids = IdMasks({**train_ids, IGNORED: ignored}, ignored, None, colors)
        self._label_ids = IdMasks({**label_ids, IGNORED: ignored}, ignored, None, colors)
        if not self._is_in(self.root):
            candidates = [folder for folder in nearby_folders(self.root) if self._is_in(folder)]
            looked_for = [_IMAGE_FOLDER, self.mask_folder]
            raise wrong_root("Cityscapes", self.root, looked_for, self._expected, candidates)

    def splits(self) -> tuple[str, ...]:
        images, masks = _folders(self.root / _IMAGE_FOLDER), _folders(self.root / self.mask_folder)
        # Cityscapes publishes these two without masks; for other splits a missing folder is a mistake.
        unlabeled = {"test", "train_extra"} - masks
        names = (images | masks) - unlabeled
        return tuple(sorted(names, key=lambda name: ({"train": 0, "val": 1, "test": 2}.get(name, 3), name)))

    def files(self, split: str) -> SplitFiles:
        images, masks = self.root / _IMAGE_FOLDER / split, self.root / self.mask_folder / split
        for folder in (images, masks):
            if not folder.is_dir():
                raise DatasetError(
                    f"folder {folder} does not exist. Expected images and masks of {split}:\n{self._expected}"
                )
        train_ids, label_ids = self._ending("labelTrainIds.png"), self._ending("labelIds.png")
        suffixes = [f"_leftImg8bit{suffix}" for suffix in IMAGE_SUFFIXES]
        files = pair_files(
            find_files(images, suffixes),
            [(find_files(masks, (train_ids,)), self._train_ids), (find_files(masks, (label_ids,)), self._label_ids)],
            lambda key: masks / f"{key}{train_ids}",
        )
        return replace(files, advice=self._advice_on(files))

    def _advice_on(self, files: SplitFiles) -> str | None:
        """Returns advice on missing masks whose polygon files exist."""
        polygons, train_ids = self._ending("polygons.json"), self._ending("labelTrainIds.png")
        beside = [
            missing.path.with_name(missing.path.name.removesuffix(train_ids) + polygons) for missing in files.missing
        ]
        drawable = sum(path.is_file() for path in beside)
        if not drawable:
            return None
        command = f"`rapidseg data prepare cityscapes {self.root}`"
        if drawable == len(beside):
            return f"their polygon files exist: draw the masks with {command}"
        return f"{drawable} of them have polygon files: draw these with {command}, and restore the others"

    def _ending(self, kind: str) -> str:
        return f"_{self.mask_folder}_{kind}"

    @property
    def _expected(self) -> str:
        return (
            f"  {_IMAGE_FOLDER}/SPLIT/CITY/*_{_IMAGE_FOLDER}.png\n"
            f"  {self.mask_folder}/SPLIT/CITY/*{self._ending('labelTrainIds.png')} or *{self._ending('labelIds.png')}\n"
        )

    def _is_in(self, root: Path) -> bool:
        return (root / _IMAGE_FOLDER).is_dir() and (root / self.mask_folder).is_dir()


class CityscapesCoarse(Cityscapes):
    """Cityscapes on disk with its coarse annotations in `gtCoarse`: `train`, `train_extra` and `val`."""

    name = "cityscapes-coarse"
    mask_folder = "gtCoarse"


def _folders(parent: Path) -> set[str]:
    if not parent.is_dir():
        return set()
    return {entry.name for entry in parent.iterdir() if entry.is_dir() and not is_hidden(entry.name)}

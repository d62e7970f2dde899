"""`LabeledImages`: images with one class each, or without classes, that are decoded on access."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from contextlib import closing
from typing import SupportsIndex

import numpy as np

from rapidseg.core.errors import DatasetError, ImageError
from rapidseg.core.parallel import ordered_map
from rapidseg.core.progress import SILENT, Progress
from rapidseg.core.sizes import SizeHW
from rapidseg.core.wording import count_of
from rapidseg.data.classification.image_sources import ImageSource
from rapidseg.system.cpu import cpu_count

_CHUNK = 64  # images that a thread decodes at a time: a task per small image would cost as much as decoding it
_PROBES = 16  # images, evenly spaced, that must have one size before all are decoded into one array
_MAX_SHOWN = 3  # skipped images that a message names


class LabeledImages(Sequence[np.ndarray]):
    """A sequence of images with one class each, or without classes.

    `images[i]` decodes an image. Threads may share an object; it can be pickled for other processes.

    Attributes:
        name: name of the data set.
        split: the split, such as `train` or `train+val`.
        class_names: names by class id; empty for images without classes.
        labels: (N,) int64 class ids; None for images without classes.
        skipped: names of unreadable images that were skipped at opening.
    """

    def __init__(
        self,
        source: ImageSource,
        *,
        name: str,
        split: str,
        class_names: Sequence[str] = (),
        labels: np.ndarray | None = None,
        skipped: Sequence[str] = (),
    ) -> None:
        self.name: str = name
        self.split: str = split
        self.class_names: tuple[str, ...] = tuple(class_names)
        self.labels: np.ndarray | None = None if labels is None else labels.astype(np.int64)
        self.skipped: tuple[str, ...] = tuple(skipped)
        self._source = source
        self._size_hw = source.size_hw

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: SupportsIndex) -> np.ndarray:  # type: ignore[override]  # slices: see `subset`
        """Decodes an image.

        Returns:
            (H, W, 3) uint8 RGB.

        Raises:
            DatasetError: it cannot be read.
            IndexError: there are fewer images.
        """
        try:
            return self._source.read(self._position(index))
        except ImageError as error:
            raise DatasetError(f"{error}; to skip unreadable images, set data.skip_unreadable=true") from error

    def __repr__(self) -> str:
        classes = f"{len(self.class_names)} classes" if self.class_names else "no classes"
        return f"<LabeledImages {self.name} {self.split}: {count_of(self, 'image')}, {classes}>"

    @property
    def size_hw(self) -> SizeHW | None:
        """Height and width of every image; None where they differ, or where no step has decoded all images yet."""
        return self._size_hw

    def image_name(self, index: SupportsIndex) -> str:
        """Returns what messages call an image: its path, or such as `data_batch_1.bin image 17`."""
        return self._source.name(self._position(index))

    def relative_names(self) -> list[str]:
        """Returns the names of all images in order, which stay the same where the data are moved or zipped."""
        return self._source.relative_names()

    def subset(self, indices: Iterable[SupportsIndex]) -> LabeledImages:
        """Returns these images, in this order, with the same classes."""
        chosen = np.array([self._position(index) for index in indices], dtype=np.int64)
        return self._take(chosen, self.skipped, self._size_hw)

    def load(self, max_bytes: int, progress: Progress = SILENT) -> np.ndarray | None:
        """Decodes all images into one array, in threads.

        Args:
            max_bytes: the largest array to allocate.
            progress: reports `decoding images`.

        Returns:
            (N, H, W, 3) uint8 RGB; None if there are none, they differ in size, or the array would be larger than
            `max_bytes`.

        Raises:
            DatasetError: an image cannot be read.
        """
        if not len(self):
            return None
        probes = np.unique(np.linspace(0, len(self) - 1, _PROBES).astype(int))
        sizes = {self._size_hw} if self._size_hw else {_size_of(self[index]) for index in probes}
        height, width = sizes.pop()
        if sizes or len(self) * height * width * 3 > max_bytes:
            return None
        pixels = np.empty((len(self), height, width, 3), np.uint8)

        def decode(chunk: range) -> bool:
            for index in chunk:
                image = self[index]
                if image.shape != pixels.shape[1:]:
                    return False
                pixels[index] = image
            return True

        chunks = _chunks(len(self))
        with closing(ordered_map(decode, chunks, threads=cpu_count())) as decoded:
            for chunk, have_one_size in zip(chunks, decoded, strict=True):
                if not have_one_size:
                    return None
                progress.update("decoding images", chunk.stop, len(self))
        self._size_hw = (height, width)
        return pixels

    def skip_unreadable(self, progress: Progress = SILENT) -> LabeledImages:
        """Decodes every image, in threads, and returns those that can be read; `skipped` names the others.

        Raises:
            DatasetError: no image can be read, or none of a class.
        """
        reasons: dict[int, str] = {}
        sizes: set[SizeHW] = set()

        def check(chunk: range) -> tuple[dict[int, str], set[SizeHW]]:
            failed, found = {}, set()
            for index in chunk:
                try:
                    found.add(_size_of(self._source.read(index)))
                except ImageError as error:
                    failed[index] = str(error)
            return failed, found

        chunks = _chunks(len(self))
        with closing(ordered_map(check, chunks, threads=cpu_count())) as checked:
            for chunk, (failed, found) in zip(chunks, checked, strict=True):
                reasons.update(failed)
                sizes |= found
                progress.update("checking images", chunk.stop, len(self))
        kept = np.array([index for index in range(len(self)) if index not in reasons], dtype=np.int64)
        if reasons:
            self._refuse_losses(kept, reasons)
            shown = "; ".join(list(reasons.values())[:_MAX_SHOWN]) + ("; ..." if len(reasons) > _MAX_SHOWN else "")
            progress.message(f"{self.name} {self.split}: skipped {count_of(reasons, 'unreadable image')}: {shown}")
        skipped = (*self.skipped, *(self._source.name(index) for index in reasons))
        return self._take(kept, skipped, sizes.pop() if len(sizes) == 1 else None)

    def _take(self, indices: np.ndarray, skipped: Sequence[str], size_hw: SizeHW | None) -> LabeledImages:
        taken = LabeledImages(
            self._source.subset(indices),
            name=self.name,
            split=self.split,
            class_names=self.class_names,
            labels=None if self.labels is None else self.labels[indices],
            skipped=skipped,
        )
        taken._size_hw = size_hw
        return taken

    def _refuse_losses(self, kept: np.ndarray, reasons: dict[int, str]) -> None:
        first = next(iter(reasons.values()))
        if not len(kept):
            raise DatasetError(f"{self.name} {self.split}: no image can be read; the first: {first}")
        if self.labels is not None:
            lost = np.setdiff1d(self.labels, self.labels[kept])
            if len(lost):
                raise DatasetError(
                    f"{self.name} {self.split}: no image of class {self.class_names[lost[0]]!r} can be read; replace "
                    f"its images, or remove the class; the first unreadable image: {first}"
                )

    def _position(self, index: SupportsIndex) -> int:
        position = operator.index(index)
        if not -len(self) <= position < len(self):
            raise IndexError(f"image {position} of {len(self)}")
        return position % len(self)


def check_classes(images: LabeledImages) -> None:
    """Checks that images can be used to train or score a classifier.

    Raises:
        DatasetError: they have no classes, or all of them have the same.
    """
    where = f"{images.name} {images.split}"
    if images.labels is None:
        raise DatasetError(
            f"{where}: these images have no classes, which this method needs; put them into one folder per class, or "
            "choose a method that trains without labels"
        )
    present = np.unique(images.labels)
    if len(present) < 2:
        names = ", ".join(repr(images.class_names[index]) for index in present)
        raise DatasetError(
            f"{where}: all {len(images)} images have one class, {names}; this method needs 2 or more: one folder per "
            "class, such as train/cat and train/dog"
        )


def _chunks(count: int) -> list[range]:
    return [range(start, min(start + _CHUNK, count)) for start in range(0, count, _CHUNK)]


def _size_of(image: np.ndarray) -> SizeHW:
    return image.shape[0], image.shape[1]

"""Where the pixels of images come from: files that are decoded on access, or planes in memory."""

from __future__ import annotations

import posixpath
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import Protocol

import numpy as np

from rapidseg.core.sizes import SizeHW
from rapidseg.data.classification.file_trees import FileTree


class ImageSource(Protocol):
    """Where the pixels of images come from."""

    size_hw: SizeHW | None  # of every image; None where that is unknown

    def __len__(self) -> int: ...

    def read(self, index: int) -> np.ndarray:
        """Returns an image as (H, W, 3) uint8 RGB.

        Raises:
            ImageError: it cannot be read.
        """

    def name(self, index: int) -> str:
        """Returns what messages call an image."""

    def relative_names(self) -> list[str]:
        """Returns the names of all images in order, without the folders above all of them."""

    def subset(self, indices: np.ndarray) -> ImageSource:
        """Returns the source of these images, in this order."""


class EncodedImages:
    """Image files of a folder or a zip file, decoded on access."""

    size_hw: SizeHW | None = None

    def __init__(self, tree: FileTree, files: Sequence[str]) -> None:
        self._tree = tree
        self._files = files

    def __len__(self) -> int:
        return len(self._files)

    def read(self, index: int) -> np.ndarray:
        return self._tree.read_image(self._files[index])

    def name(self, index: int) -> str:
        return str(self._tree.path / self._files[index])

    def relative_names(self) -> list[str]:
        folders = {posixpath.dirname(file) for file in self._files}
        common = posixpath.commonpath(folders) if folders else ""
        return [file[len(common) :].lstrip("/") for file in self._files]

    def subset(self, indices: np.ndarray) -> EncodedImages:
        return EncodedImages(self._tree, [self._files[index] for index in indices])


class PlanarImages:
    """Images in memory that are stored as one plane per color.

    Args:
        planes: (N, 3, H, W) uint8, in the order red, green, blue.
        files: the name of each file that they come from, and its number of images.
        positions: (N,) position of each image among all images of the files; None: in order.
    """

    def __init__(
        self, planes: np.ndarray, files: Sequence[tuple[str, int]], positions: np.ndarray | None = None
    ) -> None:
        self.size_hw: SizeHW | None = (planes.shape[2], planes.shape[3])
        self._planes = planes
        self._files = files
        self._positions = np.arange(len(planes)) if positions is None else positions

    def __len__(self) -> int:
        return len(self._planes)

    def read(self, index: int) -> np.ndarray:
        return np.ascontiguousarray(self._planes[index].transpose(1, 2, 0))

    def name(self, index: int) -> str:
        position = int(self._positions[index])
        starts = [0, *accumulate(count for _, count in self._files)]
        file = bisect_right(starts, position) - 1
        return f"{self._files[file][0]} image {position - starts[file]}"

    def relative_names(self) -> list[str]:
        return [self.name(index) for index in range(len(self))]

    def subset(self, indices: np.ndarray) -> PlanarImages:
        return PlanarImages(self._planes[indices], self._files, self._positions[indices])

"""CIFAR-10 and CIFAR-100 (Krizhevsky, 2009) in their binary and Python versions.

Binary: records of one label byte (CIFAR-100: the coarse label, then the fine one) and 3,072 bytes of pixels. Python:
a pickled dictionary per file, with `data` (N, 3072) uint8 and `labels` or `fine_labels`. Pixels are the red, green and
blue plane of 32x32, row by row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rapidseg.core.errors import DatasetError
from rapidseg.core.progress import Progress
from rapidseg.data.classification.cifar_pickle import load_cifar_pickle
from rapidseg.data.classification.file_trees import FileTree, join
from rapidseg.data.classification.image_sources import PlanarImages
from rapidseg.data.classification.labeled_images import LabeledImages

_SIDE = 32  # pixels
_PIXEL_BYTES = 3 * _SIDE * _SIDE


@dataclass(frozen=True)
class CifarFormat:
    """Files and contents of one version of CIFAR.

    Attributes:
        name: name of the data set.
        folder: the folder in the published archive.
        split_files: the files of each split.
        names_file: the file with the names of the classes.
        num_classes: number of classes.
        is_pickled: whether it is the Python version.
    """

    name: str
    folder: str
    split_files: Mapping[str, tuple[str, ...]]
    names_file: str
    num_classes: int
    is_pickled: bool

    def is_in(self, tree: FileTree, folder: str) -> bool:
        """Returns whether a folder of a tree contains a file of a split."""
        files = tree.entries(folder).files
        return any(file in files for split in self.split_files.values() for file in split)

    def expected_files(self) -> str:
        return ", ".join(file for files in self.split_files.values() for file in files)


def _batches(suffix: str) -> dict[str, tuple[str, ...]]:
    train = tuple(f"data_batch_{number}{suffix}" for number in range(1, 6))
    return {"train": train, "test": (f"test_batch{suffix}",)}


_WHOLE = {"train": ("train",), "test": ("test",)}
_WHOLE_BIN = {"train": ("train.bin",), "test": ("test.bin",)}

CIFAR_FORMATS = {
    "cifar10-binary": CifarFormat(
        "cifar10", "cifar-10-batches-bin", _batches(".bin"), "batches.meta.txt", 10, is_pickled=False
    ),
    "cifar10-python": CifarFormat("cifar10", "cifar-10-batches-py", _batches(""), "batches.meta", 10, is_pickled=True),
    "cifar100-binary": CifarFormat(
        "cifar100", "cifar-100-binary", _WHOLE_BIN, "fine_label_names.txt", 100, is_pickled=False
    ),
    "cifar100-python": CifarFormat("cifar100", "cifar-100-python", _WHOLE, "meta", 100, is_pickled=True),
}


class CifarLayout:
    """A version of CIFAR in a folder of a tree."""

    def __init__(self, tree: FileTree, folder: str, cifar: CifarFormat) -> None:
        self.name = cifar.name
        self._tree = tree
        self._folder = folder
        self._format = cifar
        self._files = tree.entries(folder).files

    def splits(self) -> tuple[str, ...]:
        return tuple(split for split, files in self._format.split_files.items() if set(files) & set(self._files))

    def open(self, splits: tuple[str, ...], progress: Progress) -> LabeledImages:
        """Reads the files of splits into memory.

        Raises:
            DatasetError: a file is missing, cut off or damaged, or a pickle asks for code to be run.
        """
        files = [file for split in splits for file in self._format.split_files[split]]
        missing = [file for file in files if file not in self._files]
        if missing:
            raise DatasetError(
                f"{self._tree.path / self._folder}: {', '.join(missing)} of {self.name} {'+'.join(splits)} "
                f"{'is' if len(missing) == 1 else 'are'} missing; extract the published archive again"
            )
        read = self._read_pickled if self._format.is_pickled else self._read_binary
        parts = []
        for done, file in enumerate(files, 1):
            parts.append(read(file))
            progress.update("reading images", done, len(files))
        labels = np.concatenate([labels for labels, _ in parts])
        planes = np.concatenate([pixels for _, pixels in parts]).reshape(-1, 3, _SIDE, _SIDE)
        source = PlanarImages(planes, [(file, len(part[0])) for file, part in zip(files, parts, strict=True)])
        return LabeledImages(
            source, name=self.name, split="+".join(splits), class_names=self._read_class_names(), labels=labels
        )

    def _read_binary(self, file: str) -> tuple[np.ndarray, np.ndarray]:
        """Returns the labels (N,) and pixels (N, 3072), uint8, of a file of the binary version."""
        content = np.frombuffer(self._read(file), np.uint8)
        num_labels = 2 if self._format.num_classes == 100 else 1  # coarse and fine
        record = num_labels + _PIXEL_BYTES
        if not content.size or content.size % record:
            raise DatasetError(
                f"{self._path(file)}: has {content.size:,} bytes; expected a multiple of {record:,}, the size of one "
                f"{self.name} image. The file is cut off, or of another data set; download it again"
            )
        records = content.reshape(-1, record)
        return self._checked(records[:, num_labels - 1], file), records[:, num_labels:]

    def _read_pickled(self, file: str) -> tuple[np.ndarray, np.ndarray]:
        """Returns the same of a file of the Python version."""
        values = load_cifar_pickle(self._read(file), self._path(file))
        labels = values.get("labels" if self._format.num_classes == 10 else "fine_labels")
        pixels = values.get("data")
        if not (
            isinstance(pixels, np.ndarray)
            and pixels.shape[1:] == (_PIXEL_BYTES,)
            and isinstance(labels, list)
            and len(labels) == len(pixels) > 0
            and all(type(label) is int for label in labels)
        ):
            raise DatasetError(
                f"{self._path(file)}: not images of {self.name}: expected `data` (N, {_PIXEL_BYTES:,}) and N labels, "
                f"not {_describe(values)}; download it again"
            )
        return self._checked(np.array(labels), file), pixels

    def _checked(self, labels: np.ndarray, file: str) -> np.ndarray:
        wrong = np.flatnonzero((labels < 0) | (labels >= self._format.num_classes))
        if len(wrong):
            raise DatasetError(
                f"{self._path(file)}: image {wrong[0]} has the label {labels[wrong[0]]}; allowed are 0 to "
                f"{self._format.num_classes - 1} in {self.name}. The file is damaged, or of another data set; download "
                "it again"
            )
        return labels

    def _read_class_names(self) -> tuple[str, ...]:
        """Returns the names of the classes; their numbers where the file with the names is missing."""
        file, num_classes = self._format.names_file, self._format.num_classes
        if file not in self._files:
            return tuple(map(str, range(num_classes)))
        if self._format.is_pickled:
            values = load_cifar_pickle(self._read(file), self._path(file))
            entries = values.get("label_names" if num_classes == 10 else "fine_label_names")
            names = [_as_name(entry) for entry in entries] if isinstance(entries, list) else []
        else:
            names = self._read(file).decode("latin1").split()
        if len(names) != num_classes or len(set(names)) != num_classes:
            raise DatasetError(
                f"{self._path(file)}: {len(set(names))} class names; {self.name} has {num_classes}; restore the "
                "published file, or remove it to call the classes by their numbers"
            )
        return tuple(names)

    def _read(self, file: str) -> bytes:
        return self._tree.read_bytes(join(self._folder, file))

    def _path(self, file: str) -> str:
        return str(self._tree.path / self._folder / file)


def _as_name(entry: object) -> str:
    return entry.decode("latin1") if isinstance(entry, bytes) else str(entry)


def _describe(values: dict[str, Any]) -> str:
    described = [f"{key} ({_shape_or_type(value)})" for key, value in list(values.items())[:6]]
    return ", ".join(described) or "an empty dictionary"


def _shape_or_type(value: object) -> str:
    return str(value.shape) if isinstance(value, np.ndarray) else type(value).__name__

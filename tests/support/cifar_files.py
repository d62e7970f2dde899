"""Writes CIFAR-10 and CIFAR-100 as their authors published them, with few images."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import ClassVar

import numpy as np

CIFAR10_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
CIFAR10_FILES = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch")
CIFAR100_FILES = ("train", "test")


def write_cifar(folder: Path, num_classes: int, *, pickled: bool, per_file: int = 10) -> dict[str, tuple]:
    """Returns images (N, 32, 32, 3) and labels (N,) of each file."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    contents = {}
    for file in CIFAR10_FILES if num_classes == 10 else CIFAR100_FILES:
        images = rng.integers(0, 256, (per_file, 32, 32, 3), np.uint8)
        labels = np.arange(per_file) * 7 % num_classes
        planes = images.transpose(0, 3, 1, 2).reshape(per_file, 3072)
        if pickled:
            key = b"labels" if num_classes == 10 else b"fine_labels"
            values = {b"batch_label": b"a batch", key: labels.tolist(), b"data": planes, b"filenames": [b"x.png"]}
            (folder / file).write_bytes(python2_pickle(values))
        else:
            coarse = np.zeros((per_file, int(num_classes == 100)), np.uint8)
            records = np.concatenate([coarse, labels[:, None].astype(np.uint8), planes], axis=1)
            (folder / f"{file}.bin").write_bytes(records.tobytes())
        contents[file] = images, labels
    names = CIFAR10_NAMES if num_classes == 10 else [f"name_{index}" for index in range(100)]
    if pickled:
        key = b"label_names" if num_classes == 10 else b"fine_label_names"
        meta = python2_pickle({key: [name.encode() for name in names]})
        (folder / ("batches.meta" if num_classes == 10 else "meta")).write_bytes(meta)
    else:
        names_file = "batches.meta.txt" if num_classes == 10 else "fine_label_names.txt"
        (folder / names_file).write_text("\n".join(names) + "\n\n")
    return contents


def python2_pickle(value: object) -> bytes:
    """Returns the pickle of protocol 2 in which bytes are texts of Python 2, and arrays come from an old NumPy."""
    file = io.BytesIO()
    _Python2Pickler(file, protocol=2).dump(value)
    return file.getvalue().replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")


class _Python2Pickler(pickle._Pickler):
    dispatch: ClassVar[dict] = dict(pickle._Pickler.dispatch)

    def _save_text(self, text: bytes) -> None:
        if len(text) < 256:
            self.write(pickle.SHORT_BINSTRING + bytes([len(text)]) + text)
        else:
            self.write(pickle.BINSTRING + len(text).to_bytes(4, "little") + text)
        self.memoize(text)

    dispatch[bytes] = _save_text


def write_cifar_images(folder: Path, images: np.ndarray) -> None:
    """Writes (N, 32, 32, 3) uint8 images as the training files of CIFAR-10's binary version; classes alternate."""
    folder.mkdir(parents=True, exist_ok=True)
    labels = (np.arange(len(images)) % 10).astype(np.uint8)
    records = np.concatenate([labels[:, None], images.transpose(0, 3, 1, 2).reshape(len(images), -1)], axis=1)
    for number, part in enumerate(np.array_split(records, 5), start=1):
        (folder / f"data_batch_{number}.bin").write_bytes(part.tobytes())

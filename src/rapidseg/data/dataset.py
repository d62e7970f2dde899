"""`Dataset`: labeled images that are read on access."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import SupportsIndex, overload

from rapidseg.core.errors import DatasetError, ImageError
from rapidseg.core.labels import LabelSet
from rapidseg.core.sizes import format_size
from rapidseg.data.checks.diagnostics import explain_sizes, explain_unknown_values, explain_unreadable
from rapidseg.data.layouts.pairing import Pair
from rapidseg.data.sample import Sample
from rapidseg.imaging import read_image


class Dataset(Sequence[Sample]):
    """A sequence of samples. It holds only paths: `dataset[i]` reads the files, in any number of processes.

    Attributes:
        labels: the classes; every label holds ids 0 to K-1 or `labels.ignore_index`.
        name: name of the data set.
        split: the split, such as `train` or `train+val`.
    """

    def __init__(self, pairs: Iterable[Pair], labels: LabelSet, *, name: str, split: str) -> None:
        self.labels: LabelSet = labels
        self.name: str = name
        self.split: str = split
        self._pairs = tuple(pairs)

    def __len__(self) -> int:
        return len(self._pairs)

    @overload
    def __getitem__(self, index: SupportsIndex) -> Sample: ...

    @overload
    def __getitem__(self, index: slice) -> Dataset: ...

    def __getitem__(self, index: SupportsIndex | slice) -> Sample | Dataset:
        """Reads one sample, or returns a part of the data set without reading it.

        Raises:
            ImageError: a file cannot be read.
            DatasetError: the image and its mask differ in size, or the mask has values that do not belong to a class.
        """
        if isinstance(index, slice):
            return self.subset(range(*index.indices(len(self))))
        return self._read(self._pairs[operator.index(index)])

    def __repr__(self) -> str:
        return f"<Dataset {self.name} {self.split}: {len(self)} samples, {self.labels.num_classes} classes>"

    def subset(self, indices: Iterable[SupportsIndex]) -> Dataset:
        """Returns a data set of these samples, in this order."""
        chosen = [self._pairs[operator.index(index)] for index in indices]
        return Dataset(chosen, self.labels, name=self.name, split=self.split)

    def sample_name(self, index: int) -> str:
        return self._pairs[index].name

    def image_path(self, index: int) -> Path:
        return self._pairs[index].image

    def label_path(self, index: int) -> Path:
        return self._pairs[index].mask

    @staticmethod
    def join(parts: Sequence[Dataset]) -> Dataset:
        """Concatenates data sets.

        Raises:
            DatasetError: they do not have the same classes.
        """
        first = parts[0]
        for part in parts[1:]:
            if (part.labels.names, part.labels.ignore_index) != (first.labels.names, first.labels.ignore_index):
                raise DatasetError(
                    f"cannot join {first.name} {first.split} and {part.name} {part.split}: their classes or "
                    "ignore_index differ; map both to the same classes with YAML files (docs/data.md)"
                )
        name = "+".join(dict.fromkeys(part.name for part in parts))
        split = "+".join(dict.fromkeys(part.split for part in parts))
        return Dataset((pair for part in parts for pair in part._pairs), first.labels, name=name, split=split)

    def _read(self, pair: Pair) -> Sample:
        image = read_image(pair.image)
        try:
            mask = pair.mask_format.decode(pair.mask)
        except ImageError as error:
            raise ImageError(f"{error}{explain_unreadable(pair)}") from error
        image_hw, mask_hw = image.shape[:2], mask.label.shape
        if image_hw != mask_hw:
            raise DatasetError(
                f"{pair.image} has {format_size(image_hw)} pixels but its mask {pair.mask} has {format_size(mask_hw)}; "
                f"{explain_sizes(image_hw, mask_hw)}"
            )
        if mask.unknown_values is not None:
            advice = explain_unknown_values(mask.unknown_values, self.labels, pair.mask_format, pair.mask.suffix)
            raise DatasetError(
                f"{pair.mask} has {mask.unknown_values}, outside the classes ({pair.mask_format.describe()}); "
                f"{advice}; `rapidseg data check` lists all such files"
            )
        return Sample(image, mask.label, pair.name)

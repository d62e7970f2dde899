"""`Dataset`: labeled images that are read on access."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import SupportsIndex, overload

import numpy as np

from rapidseg.core.errors import DatasetError, ImageError
from rapidseg.core.labels import LabelSet
from rapidseg.core.sizes import format_size
from rapidseg.data.checks.diagnostics import explain_sizes, explain_unknown_values, explain_unreadable
from rapidseg.data.checks.mask_evidence import (
    INSTANCES,
    PHOTO,
    UNROTATED,
    UNROTATED_FIT,
    describe_contradiction,
    describe_difference,
    is_photo,
    lossy_advice,
    palette_advice,
    rotation_advice,
    rotation_of,
    unrotated_fit,
)
from rapidseg.data.layouts.pairing import Pair
from rapidseg.data.masks import DecodedMask, IdMasks
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
        self._refuse_sizes(pair, image, mask)
        if mask.unknown_values is not None:
            advice = explain_unknown_values(
                mask.unknown_values, self.labels, pair.mask_format, pair.mask.suffix, lossy=mask.file.lossy
            )
            if is_photo(mask, image):
                advice += f"; {PHOTO}"
            raise DatasetError(
                f"{pair.mask} has {mask.unknown_values}, outside the classes ({pair.mask_format.describe()}); "
                f"{advice}; `rapidseg data check` lists all such files"
            )
        if is_photo(mask, image):
            raise DatasetError(f"{pair.mask}: {PHOTO}")
        if mask.has_instances:
            raise DatasetError(f"{pair.mask}: {INSTANCES}")
        if mask.file.lossy and mask.num_others:
            raise DatasetError(f"{pair.mask}: {lossy_advice(mask.file.lossy)}")
        self._refuse_palette(pair, mask)
        rotation = rotation_of(pair.image, pair.mask)
        if rotation != 1:
            fit = unrotated_fit(image, mask.label, rotation, pair.mask_format.ignore_index)
            if fit is not None and fit > UNROTATED_FIT:
                raise DatasetError(f"{pair.mask} {UNROTATED}, {pair.image}; {rotation_advice()}")
        return Sample(image, mask.label, pair.name)

    def _refuse_sizes(self, pair: Pair, image: np.ndarray, mask: DecodedMask) -> None:
        image_hw, mask_hw = image.shape[:2], mask.label.shape
        if image_hw != mask_hw:
            advice = explain_sizes(image_hw, mask_hw, rotation_of(pair.image, pair.mask))
            raise DatasetError(
                f"{pair.image} has {format_size(image_hw)} pixels but its mask {pair.mask} has {format_size(mask_hw)}; "
                f"{advice}"
            )

    def _refuse_palette(self, pair: Pair, mask: DecodedMask) -> None:
        """Refuses a palette that contradicts the colors of the classes or the palettes of earlier masks."""
        reason = describe_contradiction(mask, self.labels, pair.mask_format)
        if not reason:
            difference = pair.mask_format.palettes.add(pair.mask, mask.class_colors)
            reason = "" if difference is None else describe_difference(difference)
        if reason:
            has_colors = isinstance(pair.mask_format, IdMasks) and bool(pair.mask_format.class_colors)
            raise DatasetError(f"{pair.mask}: {reason}; {palette_advice(has_colors)}")

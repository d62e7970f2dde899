"""Images as a network sees them: which images, which network, at which size. One object in place of three arguments."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from rapidseg.core.sizes import InputSize
from rapidseg.core.spec import ModelSpec
from rapidseg.data import Dataset, Sample
from rapidseg.imaging import input_size_hw, resize_image


@dataclass(frozen=True)
class NetworkImages:
    """The images of a data set at the size at which prediction shows them to a network.

    Iterating yields batches of a single image, (1, H, W, 3) uint8 RGB. Images are read on access, so any number of
    passes needs the memory of a single image.

    Attributes:
        spec: of the network's model file.
        dataset: the images, and their labels where it has any.
        input_size: as for a call of `Segmenter`.
    """

    spec: ModelSpec
    dataset: Dataset
    input_size: InputSize | None = None

    def __len__(self) -> int:
        return len(self.dataset)

    def __iter__(self) -> Iterator[np.ndarray]:
        return map(self.prepare, self.dataset)

    def prepare(self, sample: Sample) -> np.ndarray:
        """Returns the image of a sample as the network sees it, (1, H, W, 3) uint8 RGB."""
        size = self.spec.default_input_size if self.input_size is None else self.input_size
        image_hw = (sample.image.shape[0], sample.image.shape[1])
        return resize_image(sample.image, input_size_hw(image_hw, size, self.spec.stride))[None]

    def full_size(self) -> list[np.ndarray]:
        """Reads all images at their own sizes, (H, W, 3) uint8 RGB each, as a caller of `Segmenter` has them."""
        return [sample.image for sample in self.dataset]

    def evenly_spaced(self, count: int) -> NetworkImages:
        """Returns `count` of the images, evenly spaced over the data set, or all where it has fewer."""
        return replace(self, dataset=evenly_spaced(self.dataset, count))


def evenly_spaced(dataset: Dataset, count: int) -> Dataset:
    """Returns `count` samples, evenly spaced over a data set, or all where it has fewer."""
    count = min(count, len(dataset))
    return dataset.subset(len(dataset) * index // count for index in range(count))

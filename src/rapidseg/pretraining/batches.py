"""Images as the encoder sees them: random views to learn from, and a fixed view to score.

Images that all have about the size of the views, such as CIFAR's, are cut on the device from a copy of the whole
data set. Others are cropped and resized where they are decoded, with a filter, in the loader's workers. Colors are
changed on the device in both cases.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from rapidseg.core.errors import ConfigError
from rapidseg.core.progress import SILENT, Progress
from rapidseg.data.classification import LabeledImages
from rapidseg.pretraining.augmentation import ColorDraws, change_colors, crop_and_resize, draw_crops, normalize
from rapidseg.pretraining.methods import PretrainingBatch
from rapidseg.recipes.pretraining_schema import ViewSection

_MAX_UNFILTERED = 1.25  # ratio of an image's side to a view's up to which crops need no filter
_LINE_RATIO = 32  # how many times longer than a view an image is seen whole
_TEST_MARGIN = 8 / 7  # images are resized to this multiple of the view, whose middle is taken: 256 / 224
_TEST_BATCH = 256

# Independent streams of random numbers of a step.
_CROPS, _COLORS, _METHOD, _ORDER = range(4)


class Indices(NamedTuple):
    """What the loader passes to the training process for one step.

    Attributes:
        step: of the run, from 0.
        indices: (B,) int64, which images.
        views: (V, B, H, W, 3) uint8 RGB crops; None where the device cuts them.
    """

    step: int
    indices: Tensor
    views: Tensor | None


class ImageSet:
    """A split of a data set, decoded if it fits in memory.

    Args:
        images: the split.
        view: how images are shown.
        max_cache_mb: megabytes of decoded images to keep.
        progress: reports the images that are decoded.

    Attributes:
        labels: (N,) int64; None for images without classes.
    """

    def __init__(
        self, images: LabeledImages, view: ViewSection, *, max_cache_mb: int, progress: Progress = SILENT
    ) -> None:
        self.images = images
        self.view = view
        self._decoded = images.load(max_cache_mb * 1_000_000, progress=progress)
        self._on_device: Tensor | None = None
        self.labels = None if images.labels is None else torch.from_numpy(images.labels)

    def __len__(self) -> int:
        return len(self.images)

    @property
    def cuts_on_device(self) -> bool:
        """Whether views are cut out of a copy of all images on the device."""
        if self._decoded is None:
            return False
        sides = zip(self._decoded.shape[1:3], self.view.image_size, strict=True)
        return all(side <= _MAX_UNFILTERED * wanted for side, wanted in sides)

    def on_device(self, device: torch.device) -> Tensor:
        """Returns (N, H, W, 3) uint8, all images, copied to the device once."""
        if self._on_device is None or self._on_device.device != device:
            self._on_device = torch.from_numpy(self._decoded).to(device)
        return self._on_device

    def read(self, index: int) -> np.ndarray:
        """Returns (H, W, 3) uint8 RGB."""
        return self.images[index] if self._decoded is None else self._decoded[index]

    def test_batches(self, device: torch.device) -> Iterator[Tensor]:
        """Yields the fixed view of all images in order: (B, 3, H, W) float32, normalized."""
        if self.cuts_on_device and self._decoded is not None and self._decoded.shape[1:3] == self.view.image_size:
            batches = iter(self.on_device(device).split(_TEST_BATCH))
        else:
            batches = self._resized_batches(device)
        for batch in batches:
            yield normalize(_to_channels(batch), self.view)

    def _resized_batches(self, device: torch.device) -> Iterator[Tensor]:
        for start in range(0, len(self), _TEST_BATCH):
            indices = range(start, min(start + _TEST_BATCH, len(self)))
            views = [_middle(self.read(index), self.view.image_size) for index in indices]
            yield torch.from_numpy(np.stack(views)).to(device)


class PretrainingBatches:
    """Batch `m` of a run, whatever happened before: images in an order of their own in each epoch.

    The last batch of an epoch holds what remains.

    Args:
        images: to learn from.
        batch_size: images per batch.
        num_views: of each image.
        seed: of the run.

    Attributes:
        per_epoch: batches in an epoch.

    Raises:
        ConfigError: an epoch would have a batch of a single image, for which batch normalization has no statistics.
    """

    def __init__(self, images: ImageSet, batch_size: int, num_views: int, seed: int) -> None:
        count = len(images)
        if count < 2:
            raise ConfigError(f"pre-training needs at least 2 images; {images.images.name} has {count}")
        if count % batch_size == 1:
            raise ConfigError(
                f"with batch_size {batch_size}, the last batch of {count} images has only 1 image, for which batch "
                f"normalization cannot compute statistics; use another batch_size, such as {batch_size + 1}"
            )
        self.per_epoch = math.ceil(count / batch_size)
        self._images = images
        self._batch_size = batch_size
        self._num_views = num_views
        self._seed = seed
        self._epoch = -1
        self._order = torch.empty(0, dtype=torch.long)

    def __call__(self, m: int) -> Indices:
        epoch, position = divmod(m, self.per_epoch)
        if epoch != self._epoch:
            self._epoch = epoch
            self._order = torch.randperm(len(self._images), generator=_generator(self._seed, epoch, _ORDER))
        indices = self._order[position * self._batch_size : (position + 1) * self._batch_size]
        return Indices(m, indices, None if self._images.cuts_on_device else self._cut(m, indices))

    def _cut(self, m: int, indices: Tensor) -> Tensor:
        """Returns (V, B, H, W, 3) uint8 crops, resized with a filter."""
        images = [self._images.read(index) for index in indices.tolist()]
        sizes = torch.tensor([image.shape[:2] for image in images])
        view, generator = self._images.view, _generator(self._seed, m, _CROPS)
        views = []
        for _ in range(self._num_views):
            crops = draw_crops(sizes, view, generator).tolist()
            cut = [
                _resize(image[top : top + height, left : left + width], view.image_size)
                for image, (top, left, height, width) in zip(images, crops, strict=True)
            ]
            views.append(np.stack(cut))
        return torch.from_numpy(np.stack(views))


class ViewMaker:
    """Makes the views of a batch on the device.

    Args:
        images: to learn from.
        num_views: of each image.
        seed: of the run.
    """

    def __init__(self, images: ImageSet, num_views: int, seed: int) -> None:
        self._images = images
        self._num_views = num_views
        self._seed = seed

    def __call__(self, batch: Indices, device: torch.device) -> PretrainingBatch:
        indices = batch.indices.to(device, non_blocking=True)
        view, count = self._images.view, len(batch.indices)
        crops, colors = (_generator(self._seed, batch.step, stream) for stream in (_CROPS, _COLORS))
        views = []
        for number in range(self._num_views):
            if batch.views is None:
                images = self._images.on_device(device)[indices]
                sizes = torch.tensor(images.shape[1:3]).expand(count, 2)
                boxes = draw_crops(sizes, view, crops).to(device, non_blocking=True)
                pixels = crop_and_resize(_to_channels(images), boxes, view.image_size)
            else:
                pixels = _to_channels(batch.views[number].to(device, non_blocking=True))
            pixels = change_colors(pixels, ColorDraws.draw(count, view, colors, device), view)
            views.append(normalize(pixels, view).contiguous(memory_format=torch.channels_last))
        labels = self._images.labels
        return PretrainingBatch(
            views=tuple(views),
            indices=indices,
            labels=None if labels is None else labels[batch.indices].to(device, non_blocking=True),
            generator=_generator(self._seed, batch.step, _METHOD, device),
        )


def _generator(seed: int, step: int, stream: int, device: torch.device | str = "cpu") -> torch.Generator:
    """Returns a generator whose numbers depend on nothing but its arguments."""
    mixed = np.random.SeedSequence((seed, step, stream)).generate_state(1, np.uint64)[0]
    return torch.Generator(device=device).manual_seed(int(mixed >> np.uint64(1)))


def _to_channels(images: Tensor) -> Tensor:
    """Returns (B, 3, H, W) float32 of 0 to 1, given (B, H, W, 3) uint8."""
    return images.permute(0, 3, 1, 2).float() / 255


def _middle(image: np.ndarray, size_hw: tuple[int, int]) -> np.ndarray:
    """Returns the middle of an image in the size of a view, after resizing it to cover a little more than that."""
    if image.shape[:2] == size_hw:
        return image
    image = _without_ends(image, size_hw)
    scale = _TEST_MARGIN * max(wanted / side for wanted, side in zip(size_hw, image.shape[:2], strict=True))
    resized_hw = [max(wanted, round(side * scale)) for wanted, side in zip(size_hw, image.shape[:2], strict=True)]
    resized = _resize(image, (resized_hw[0], resized_hw[1]))
    top, left = ((side - wanted) // 2 for side, wanted in zip(resized_hw, size_hw, strict=True))
    return resized[top : top + size_hw[0], left : left + size_hw[1]]


def _without_ends(image: np.ndarray, size_hw: tuple[int, int]) -> np.ndarray:
    """Cuts a line down to its middle, which is all that is seen of it: resized whole, it would fill the memory."""
    ratio = max(image.shape[:2]) * min(size_hw) / (min(image.shape[:2]) * max(size_hw))
    if ratio <= _LINE_RATIO:
        return image
    kept = [
        min(side, int(_LINE_RATIO * min(image.shape[:2]) * max(size_hw) / min(size_hw))) for side in image.shape[:2]
    ]
    top, left = ((side - wanted) // 2 for side, wanted in zip(image.shape[:2], kept, strict=True))
    return image[top : top + kept[0], left : left + kept[1]]


def _resize(image: np.ndarray, size_hw: tuple[int, int]) -> np.ndarray:
    shrinks = size_hw[0] < image.shape[0] or size_hw[1] < image.shape[1]
    return cv2.resize(image, size_hw[::-1], interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)

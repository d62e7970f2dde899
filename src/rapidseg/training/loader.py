"""Batches in an order that a resumed run continues exactly."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterator
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler, get_worker_info

from rapidseg.core.errors import RapidSegError
from rapidseg.core.sizes import SizeHW
from rapidseg.data.augmentation import TrainingSamples
from rapidseg.training.worker_processes import check_semaphores, pack, prepare_worker, unpack

BatchT = TypeVar("BatchT")


class BatchLoader(DataLoader[Any], Generic[BatchT]):
    """Calls `make_batch(m)` for each batch of a run in turn; batch m is the same whatever happened before.

    Lightning stores `state_dict` in its checkpoints and restores it before it resumes a run.

    Args:
        make_batch: returns batch m; called in the workers.
        num_batches: batches in the whole run.
        workers: processes that prepare batches ahead; 0 makes them in the training process.
        pin_memory: whether to pin memory for copies to a GPU.

    Attributes:
        waited_s: seconds that the training process has waited for batches.
    """

    def __init__(
        self, make_batch: Callable[[int], BatchT], *, num_batches: int, workers: int, pin_memory: bool
    ) -> None:
        self._order = _BatchOrder(num_batches)
        super().__init__(
            _Batches(make_batch),
            batch_size=None,
            sampler=self._order,
            num_workers=workers,
            collate_fn=_unchanged,
            pin_memory=pin_memory,
            worker_init_fn=prepare_worker,
            prefetch_factor=4 if workers else None,
            generator=torch.Generator(),  # else each epoch draws from the generator that dropout uses
        )
        self.waited_s = 0.0
        self._running: Generator[BatchT, None, None] | None = None

    def __iter__(self) -> Iterator[BatchT]:  # type: ignore[override]
        self._running = self._batches()
        return self._running

    def check_worker_number_rationality(self) -> None:
        """Does nothing: PyTorch would warn of more workers than processors, and the recipe sets their number."""

    def close(self) -> None:
        """Ends the workers; they ignore signals, so nothing else ends them before the process does."""
        if self._running is not None:
            self._running.close()

    def _batches(self) -> Generator[BatchT, None, None]:
        check_semaphores(self.num_workers)
        batches = super().__iter__()
        try:
            while True:
                started = time.perf_counter()
                batch = next(batches, None)
                self.waited_s += time.perf_counter() - started
                if batch is None:
                    return
                if isinstance(batch, RapidSegError):
                    raise batch
                self._order.first += 1
                yield unpack(batch)
        finally:
            del batches  # ends its workers, even where a traceback keeps this frame

    def state_dict(self) -> dict[str, Any]:
        return {"passes": self._order.first}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._order.first = state["passes"]


class _BatchOrder(Sampler[int]):
    """The indices of batches, from batch `first` on; its length is that of the whole run."""

    def __init__(self, num_batches: int) -> None:
        self.first = 0
        self._num_batches = num_batches

    def __len__(self) -> int:
        return self._num_batches

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.first, self._num_batches))


class _Batches(Dataset[Any]):
    """Returns errors about the data as values: raised in a worker, they would arrive wrapped in a traceback."""

    def __init__(self, make_batch: Callable[[int], Any]) -> None:
        self._make_batch = make_batch

    def __getitem__(self, m: int) -> Any:
        try:
            batch = self._make_batch(m)
        except RapidSegError as error:
            return error
        return batch if get_worker_info() is None else pack(batch)


def _unchanged(batch: Any) -> Any:
    return batch


class Batch(NamedTuple):
    """A micro-batch of labeled images: the input of one forward pass.

    Attributes:
        images: (N, H, W, 3) uint8 RGB.
        labels: (N, h, w) uint8, class ids or the ignored value.
        names: of the N images.
    """

    images: Tensor
    labels: Tensor
    names: tuple[str, ...]

    def to(self, device: torch.device | str) -> Batch:
        """Returns the batch on a device."""
        return self._replace(images=self.images.to(device), labels=self.labels.to(device))


def blank_batch(images: int, size_hw: SizeHW, label_stride: int, num_classes: int) -> Batch:
    """Returns a batch of black images in which every class is labeled, as far as there are pixels."""
    height, width = (math.ceil(side / label_stride) for side in size_hw)
    labels = torch.arange(images * height * width).remainder(num_classes).to(torch.uint8).view(images, height, width)
    return Batch(torch.zeros(images, *size_hw, 3, dtype=torch.uint8), labels, ("blank",) * images)


class SegmentationBatches:
    """Micro-batch `m` of a run holds the samples from `m * size` on.

    Args:
        samples: by index, endless.
        size: images per micro-batch.
    """

    def __init__(self, samples: TrainingSamples, size: int) -> None:
        self._samples = samples
        self._size = size

    def __call__(self, m: int) -> Batch:
        items = [self._samples[k] for k in range(m * self._size, (m + 1) * self._size)]
        images, labels, names = zip(*items, strict=True)
        return Batch(torch.from_numpy(np.stack(images)), torch.from_numpy(np.stack(labels)), names)

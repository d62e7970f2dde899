"""Micro-batches of augmented samples, in an order that a resumed run continues exactly."""

from __future__ import annotations

import signal
import time
from collections.abc import Generator, Iterator, Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from rapidseg.core.errors import RapidSegError
from rapidseg.data.augmentation import TrainingSamples


class Batch(NamedTuple):
    """A micro-batch: the input of one forward pass.

    Attributes:
        images: (N, H, W, 3) uint8 RGB.
        labels: (N, h, w) uint8, class ids or the ignored value.
        names: of the N images.
    """

    images: Tensor
    labels: Tensor
    names: tuple[str, ...]


class SampleLoader(DataLoader[Any]):
    """Micro-batch `m` of a run holds the samples from `m * micro_batch_size` on, whatever happened before.

    Lightning stores `state_dict` in its checkpoints and restores it before it resumes a run.

    Args:
        samples: by index, endless.
        micro_batch_size: images per micro-batch.
        num_micro_batches: micro-batches in the whole run.
        workers: processes that prepare micro-batches ahead.
        pin_memory: whether to pin memory for copies to a GPU.

    Attributes:
        waited_s: seconds that the training process has waited for micro-batches.
    """

    def __init__(
        self, samples: TrainingSamples, *, micro_batch_size: int, num_micro_batches: int, workers: int, pin_memory: bool
    ) -> None:
        self._schedule = _BatchOrder(micro_batch_size, num_micro_batches)
        super().__init__(
            _Samples(samples),
            batch_sampler=self._schedule,
            num_workers=workers,
            collate_fn=_collate,
            pin_memory=pin_memory,
            worker_init_fn=_prepare_worker,
            prefetch_factor=4 if workers else None,
            generator=torch.Generator(),  # else each epoch draws from the generator that dropout uses
        )
        self.waited_s = 0.0
        self._running: Generator[Batch, None, None] | None = None

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        self._running = self._batches()
        return self._running

    def close(self) -> None:
        """Ends the workers; they ignore signals, so nothing else ends them before the process does."""
        if self._running is not None:
            self._running.close()

    def _batches(self) -> Generator[Batch, None, None]:
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
                self._schedule.first += 1
                yield batch
        finally:
            del batches  # ends its workers, even where a traceback keeps this frame

    def state_dict(self) -> dict[str, Any]:
        return {"passes": self._schedule.first}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._schedule.first = state["passes"]


class _BatchOrder(Sampler[list[int]]):
    """The sample indices of each micro-batch, from micro-batch `first` on; its length is that of the whole run."""

    def __init__(self, micro_batch_size: int, num_micro_batches: int) -> None:
        self.first = 0
        self._micro_batch_size = micro_batch_size
        self._num_micro_batches = num_micro_batches

    def __len__(self) -> int:
        return self._num_micro_batches

    def __iter__(self) -> Iterator[list[int]]:
        for index in range(self.first, self._num_micro_batches):
            yield list(range(index * self._micro_batch_size, (index + 1) * self._micro_batch_size))


class _Samples(Dataset[Any]):
    """Returns errors about the data as values: raised in a worker, they would arrive wrapped in a traceback."""

    def __init__(self, samples: TrainingSamples) -> None:
        self._samples = samples

    def __getitem__(self, k: int) -> tuple[np.ndarray, np.ndarray, str] | RapidSegError:
        try:
            return self._samples[k]
        except RapidSegError as error:
            return error


def _collate(items: Sequence[tuple[np.ndarray, np.ndarray, str] | RapidSegError]) -> Batch | RapidSegError:
    samples = []
    for item in items:
        if isinstance(item, RapidSegError):
            return item
        samples.append(item)
    images, labels, names = zip(*samples, strict=True)
    return Batch(torch.from_numpy(np.stack(images)), torch.from_numpy(np.stack(labels)), names)


def _prepare_worker(_: int) -> None:
    cv2.setNumThreads(0)  # there are as many workers as cores already
    # Ctrl-C and a service manager signal every process of the group; the training process still needs its data.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)

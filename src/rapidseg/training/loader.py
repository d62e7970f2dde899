"""Batches of augmented samples, in an order from which a run can go on."""

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
    """What the network sees in one pass.

    Attributes:
        images: (N, H, W, 3) uint8 RGB.
        labels: (N, h, w) uint8, class ids or the ignored value.
        names: of the N images.
    """

    images: Tensor
    labels: Tensor
    names: tuple[str, ...]


class SampleLoader(DataLoader[Any]):
    """Pass `m` of a run holds the samples `m * micro_batch_size` and following, whatever happened before.

    Lightning stores `state_dict` in its checkpoints and gives it back before a run goes on.

    Args:
        samples: by number, without end.
        micro_batch_size: images in one pass.
        num_passes: passes in the whole run.
        workers: processes that prepare passes ahead.
        pin_memory: whether to prepare for copies to a GPU.

    Attributes:
        waited_s: seconds that the training process has waited for batches.
    """

    def __init__(
        self, samples: TrainingSamples, *, micro_batch_size: int, num_passes: int, workers: int, pin_memory: bool
    ) -> None:
        self._passes = _Passes(micro_batch_size, num_passes)
        super().__init__(
            _Samples(samples),
            batch_sampler=self._passes,
            num_workers=workers,
            collate_fn=_collate,
            pin_memory=pin_memory,
            worker_init_fn=_prepare_worker,
            prefetch_factor=4 if workers else None,
            generator=torch.Generator(),  # or each epoch draws from the generator that dropout uses
        )
        self.waited_s = 0.0
        self._running: Generator[Batch, None, None] | None = None

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        self._running = self._batches()
        return self._running

    def close(self) -> None:
        """Ends the workers; they ignore signals, so nobody else does before the process ends."""
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
                self._passes.first += 1
                yield batch
        finally:
            del batches  # ends its workers, even where a traceback keeps this frame

    def state_dict(self) -> dict[str, Any]:
        return {"passes": self._passes.first}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._passes.first = state["passes"]


class _Passes(Sampler[list[int]]):
    """The numbers of the samples of each pass, from the pass `first` on; its length counts all passes of the run."""

    def __init__(self, micro_batch_size: int, num_passes: int) -> None:
        self.first = 0
        self._pass_size = micro_batch_size
        self._num_passes = num_passes

    def __len__(self) -> int:
        return self._num_passes

    def __iter__(self) -> Iterator[list[int]]:
        for number in range(self.first, self._num_passes):
            yield list(range(number * self._pass_size, (number + 1) * self._pass_size))


class _Samples(Dataset[Any]):
    """Hands errors about the data on as values: raised in a worker, they would come out wrapped in a traceback."""

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
    # Ctrl-C in a terminal and the stop of a service reach every process; the training process still needs its data.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)

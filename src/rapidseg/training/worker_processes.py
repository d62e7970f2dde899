"""Data workers of a training: how batches leave them, and how they end."""

from __future__ import annotations

import multiprocessing
import multiprocessing.queues
import os
import signal
from dataclasses import dataclass
from typing import Any, NoReturn

import cv2
import numpy as np
import torch
from torch import Tensor

from rapidseg.core.child_processes import end_with_parent
from rapidseg.core.errors import TrainingError

_LOST = "DataLoader worker"  # how PyTorch begins to say that a worker has ended
_CANNOT_SEND = 3  # exit status


@dataclass(frozen=True, eq=False)
class _Copied:
    """A tensor that is sent through the pipe of a queue, because shared memory is full."""

    array: np.ndarray


def check_semaphores(workers: int) -> None:
    """Checks that the system has the semaphores that processes with queues need.

    Args:
        workers: number of processes.

    Raises:
        TrainingError: it has not, as in containers without shared memory.
    """
    try:
        queues: list[Any] = [multiprocessing.Queue() for _ in range(workers + 2 if workers else 0)]
    except (OSError, NotImplementedError) as error:
        raise TrainingError(
            f"processes that prepare batches cannot be started ({error}): shared memory, /dev/shm, is missing or full; "
            "set data.workers=0, or start the container with more (docker run --shm-size=1g)"
        ) from error
    del queues


def prepare_worker(_: int) -> None:
    """Is called in each worker before its first batch."""
    cv2.setNumThreads(0)  # there are as many workers as cores already
    # Ctrl-C and a service manager signal every process of the group; the training process still needs its data.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    end_with_parent()
    # By default a batch that cannot be sent is dropped, and the training waits for it for ever.
    multiprocessing.queues.Queue._on_queue_feeder_error = staticmethod(_end_worker)  # type: ignore[attr-defined]


def pack(batch: Any) -> Any:
    """Returns a batch whose tensors are in shared memory, or copied where there is too little of it, as in containers.

    Args:
        batch: tensors in tuples, lists and dictionaries.
    """
    if isinstance(batch, Tensor):
        if batch.numel() == 0:
            return batch
        try:
            return batch.share_memory_()
        except RuntimeError:  # PyTorch would fail in the same way in a thread whose errors nobody sees
            return _Copied(batch.numpy())
    return _rebuilt(batch, pack)


def unpack(batch: Any) -> Any:
    """Returns the batch that `pack` was given."""
    return torch.from_numpy(batch.array) if isinstance(batch, _Copied) else _rebuilt(batch, unpack)


def lost_worker(error: BaseException) -> TrainingError | None:
    """Returns the error for users in place of PyTorch's about a worker that has ended; None for another error."""
    if not isinstance(error, RuntimeError) or not str(error).startswith(_LOST):
        return None
    return TrainingError(
        "a process that prepares batches was killed, probably because memory ran out; use fewer of them "
        "(data.workers, 0 for none), a smaller batch, or in a container more shared memory (docker run --shm-size=1g)"
    )


def _rebuilt(batch: Any, convert: Any) -> Any:
    if isinstance(batch, tuple):
        items = [convert(item) for item in batch]
        return type(batch)(*items) if hasattr(batch, "_fields") else tuple(items)
    if isinstance(batch, list):
        return [convert(item) for item in batch]
    if isinstance(batch, dict):
        return {name: convert(value) for name, value in batch.items()}
    return batch


def _end_worker(error: BaseException, item: object) -> NoReturn:
    os._exit(_CANNOT_SEND)

"""Speed, loss and learning rate of a run, for the logs and for whoever watches."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from rapidseg.core.progress import Progress
from rapidseg.training.loader import BatchLoader
from rapidseg.training.run_plan import RunPlan
from rapidseg.training.schedule import learning_rate

TRAINING = "training"
"""The task under which a run reports its iterations."""


class Stopwatch:
    """Measures training time without pauses for validation and saving."""

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self._paused_s = 0.0

    def running_s(self) -> float:
        """Returns the seconds of training so far."""
        return self.total_s() - self._paused_s

    def total_s(self) -> float:
        """Returns the seconds so far, pauses included."""
        return time.perf_counter() - self._started

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self._paused_s += time.perf_counter() - started


class MetricsCallback(Callback):
    """Reports every iteration; logs losses and speed every `log_every` iterations.

    Attributes:
        watch: paused by everything that is not training.
        seconds: that the run has taken, over all its processes.
    """

    def __init__(self, plan: RunPlan, loader: BatchLoader[Any], progress: Progress) -> None:
        self._plan = plan
        self._loader = loader
        self._progress = progress
        self._earlier_s = 0.0
        self._first: int | None = None  # iterations done before this process; None before training starts
        self._losses: dict[str, Tensor] = {}
        self._micro_batches = 0
        self._mark = (0.0, 0.0, 0)  # at the last line of the log: seconds of training, seconds waited, iterations
        self.watch = Stopwatch()

    @property
    def state_key(self) -> str:
        return "Telemetry"  # under which states on disk have it since the first version

    @property
    def seconds(self) -> float:
        return self._earlier_s + self.watch.total_s()

    def images_per_s(self, iterations: int) -> float:
        """Returns the mean of this process, given the iterations done; 0 if it had nothing to do."""
        done = 0 if self._first is None else iterations - self._first
        return done * self._plan.batch_size / max(self.watch.running_s(), 1e-9)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.watch = Stopwatch()
        self._first = trainer.global_step
        self._mark = (0.0, self._loader.waited_s, self._first)
        self._progress.update(TRAINING, self._first, self._plan.iterations)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        with torch.no_grad():
            for name, value in {"loss": outputs["loss"], **outputs["parts"]}.items():
                # Losses from a saved state are on the CPU.
                self._losses[name] = value + self._losses[name].to(value.device) if name in self._losses else value
        self._micro_batches += 1
        if (batch_idx + 1) % self._plan.accumulate:
            return
        iteration, last = trainer.global_step, self._plan.iterations
        self._progress.update(TRAINING, iteration, last)
        if iteration % self._plan.log_every == 0 or iteration == last:
            self._log(trainer, iteration)

    def _log(self, trainer: Trainer, iteration: int) -> None:
        seconds, waited = self.watch.running_s(), self._loader.waited_s
        elapsed = max(seconds - self._mark[0], 1e-9)
        metrics = {f"train/{name}": (total / self._micro_batches).item() for name, total in self._losses.items()}
        # The schedule is one step ahead; this is the rate that the iteration used.
        metrics["train/learning_rate"] = learning_rate(self._plan, iteration - 1)
        metrics["train/images_per_s"] = (iteration - self._mark[2]) * self._plan.batch_size / elapsed
        metrics["train/data_wait_share"] = (waited - self._mark[1]) / elapsed
        log(trainer, metrics, iteration)
        eta_s = (self._plan.iterations - iteration) * self.watch.total_s() / (iteration - (self._first or 0))
        self._progress.metrics(iteration, {**metrics, "train/eta_s": eta_s})
        self._losses, self._micro_batches, self._mark = {}, 0, (seconds, waited, iteration)

    def state_dict(self) -> dict[str, Any]:
        return {"seconds": self.seconds, "losses": dict(self._losses), "passes": self._micro_batches}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._earlier_s = state_dict["seconds"]
        self._losses, self._micro_batches = state_dict["losses"], state_dict["passes"]


def log(trainer: Trainer, metrics: Mapping[str, float], iteration: int) -> None:
    """Sends metrics to every logger."""
    for logger in trainer.loggers:
        logger.log_metrics(dict(metrics), step=iteration)

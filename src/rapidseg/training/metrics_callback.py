"""What a run tells while it goes on: speed, loss and rate, to logs and to whoever watches."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from rapidseg.recipes.schema import Recipe
from rapidseg.training.loader import SampleLoader
from rapidseg.training.schedule import learning_rate


class Reporter(Protocol):
    """Whoever watches a run. Iterations are counted from 1."""

    def downloading(self, done: int, total: int | None) -> None:
        """So many bytes of the backbone's weights are there, of so many if the server says."""

    def begin(self, done: int, iterations: int) -> None:
        """The run begins or goes on, with so many iterations done of so many."""

    def step(self, iteration: int) -> None:
        """An iteration is done."""

    def metrics(self, iteration: int, metrics: Mapping[str, float]) -> None:
        """Figures were logged; their names are those of the logs, and `train/eta_s` beside them."""

    def evaluating(self, done: int, images: int) -> None:
        """So many images of the evaluation split are scored."""


class NullReporter:
    """A reporter that says nothing."""

    def downloading(self, done: int, total: int | None) -> None: ...

    def begin(self, done: int, iterations: int) -> None: ...

    def step(self, iteration: int) -> None: ...

    def metrics(self, iteration: int, metrics: Mapping[str, float]) -> None: ...

    def evaluating(self, done: int, images: int) -> None: ...


class Stopwatch:
    """The time that training takes, without what lies between: evaluation and saving."""

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
        began = time.perf_counter()
        try:
            yield
        finally:
            self._paused_s += time.perf_counter() - began


class MetricsCallback(Callback):
    """Measures speed and sums up losses, and passes both on every `log_every` iterations.

    Attributes:
        watch: paused by what is not training.
        seconds: that the run has taken, all its processes together.
    """

    def __init__(self, recipe: Recipe, loader: SampleLoader, reporter: Reporter) -> None:
        self._recipe = recipe
        self._loader = loader
        self._reporter = reporter
        self._earlier_s = 0.0
        self._first: int | None = None  # iterations done before this process; None before it begins
        self._losses: dict[str, Tensor] = {}
        self._passes = 0
        self._mark = (0.0, 0.0, 0)  # seconds of training, seconds waited, iterations done at the last line of the log
        self.watch = Stopwatch()

    @property
    def seconds(self) -> float:
        return self._earlier_s + self.watch.total_s()

    def images_per_s(self, iterations_done: int) -> float:
        """Returns the mean of this process; 0 if it had nothing to do."""
        done = 0 if self._first is None else iterations_done - self._first
        return done * self._recipe.batch_size / max(self.watch.running_s(), 1e-9)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.watch = Stopwatch()
        self._first = trainer.global_step
        self._mark = (0.0, self._loader.waited_s, self._first)
        self._reporter.begin(self._first, self._recipe.iterations)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        with torch.no_grad():
            for name, value in {"loss": outputs["loss"], **outputs["parts"]}.items():
                # What a saved state brought back is on the CPU.
                self._losses[name] = value + self._losses[name].to(value.device) if name in self._losses else value
        self._passes += 1
        if (batch_idx + 1) % self._recipe.accumulate:
            return
        iteration = trainer.global_step
        self._reporter.step(iteration)
        if iteration % self._recipe.log_every and iteration != self._recipe.iterations:
            return
        seconds, waited, done = self.watch.running_s(), self._loader.waited_s, iteration
        took = max(seconds - self._mark[0], 1e-9)
        metrics = {f"train/{name}": (total / self._passes).item() for name, total in self._losses.items()}
        # The schedule has moved on already; this is the rate that the iteration used.
        metrics["train/learning_rate"] = learning_rate(self._recipe, iteration - 1)
        metrics["train/images_per_s"] = (done - self._mark[2]) * self._recipe.batch_size / took
        metrics["train/data_wait_share"] = (waited - self._mark[1]) / took
        log(trainer, metrics, iteration)
        eta_s = (self._recipe.iterations - iteration) * self.watch.total_s() / (iteration - (self._first or 0))
        self._reporter.metrics(iteration, {**metrics, "train/eta_s": eta_s})
        self._losses, self._passes, self._mark = {}, 0, (seconds, waited, done)

    def state_dict(self) -> dict[str, Any]:
        return {"seconds": self.seconds, "losses": dict(self._losses), "passes": self._passes}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._earlier_s = state_dict["seconds"]
        self._losses, self._passes = state_dict["losses"], state_dict["passes"]


def log(trainer: Trainer, metrics: Mapping[str, float], iteration: int) -> None:
    """Passes figures on to every logger."""
    for logger in trainer.loggers:
        logger.log_metrics(dict(metrics), step=iteration)

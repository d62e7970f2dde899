"""The state of a run on disk, from which it resumes exactly."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from lightning.pytorch import Callback, LightningModule, Trainer

from rapidseg.core.files import atomic_path
from rapidseg.training.metrics_callback import MetricsCallback
from rapidseg.training.run_folder import RunFolder
from rapidseg.training.run_identity import RunIdentity
from rapidseg.training.run_plan import RunPlan
from rapidseg.training.stopping import StopRequested, StopSignals


class SavesWeights(Protocol):
    """Writes the weights of a run to a file, with their score if they were scored."""

    def save(self, path: Path, score: Any) -> None: ...


class ScoresWeights(Protocol):
    """Knows the score of the weights after an iteration; None if they were not scored then."""

    def score_at(self, iteration: int) -> Any: ...


class CheckpointCallback(Callback):
    """Saves weights and state every `save_every` iterations, after evaluations, at the end, and when a signal stops.

    It must be the last callback, so that a saved state includes the work of all others on its iteration.
    """

    def __init__(
        self,
        plan: RunPlan,
        weights: SavesWeights,
        folder: RunFolder,
        metrics: MetricsCallback,
        validation: ScoresWeights | None,
        signals: StopSignals,
        identity: RunIdentity,
    ) -> None:
        self._plan = plan
        self._weights = weights
        self._folder = folder
        self._metrics = metrics
        self._validation = validation
        self._signals = signals
        self._identity = identity

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if (batch_idx + 1) % self._plan.accumulate:
            return
        iteration = trainer.global_step
        scored = self._validation is not None and self._validation.score_at(iteration) is not None
        if scored or iteration % self._plan.save_every == 0 or iteration == self._plan.iterations:
            self._save(trainer)
        self._signals.check()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        if isinstance(exception, StopRequested):
            self._save(trainer)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        self._identity.write_to(checkpoint)

    def _save(self, trainer: Trainer) -> None:
        with self._metrics.watch.paused():
            score = None if self._validation is None else self._validation.score_at(trainer.global_step)
            self._weights.save(self._folder.last, score)
            with atomic_path(self._folder.state) as temporary:
                trainer.save_checkpoint(temporary)

"""Scores of the weights during training, and the best weights on disk."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from lightning.pytorch import Callback, LightningModule, Trainer

from rapidseg.core.progress import Progress, counter
from rapidseg.core.spec import Score
from rapidseg.data import Dataset
from rapidseg.evaluation import Evaluation, score
from rapidseg.models import SegmentationModel, save_model
from rapidseg.recipes.schema import Recipe
from rapidseg.runtime import Segmenter
from rapidseg.training.averaging import MovingAverage
from rapidseg.training.metrics_callback import MetricsCallback, log
from rapidseg.training.module import TrainingModule
from rapidseg.training.run_folder import RunFolder
from rapidseg.training.stopping import StopSignals

EVALUATING = "evaluating"
"""The task under which a run reports the images that it has scored."""


class Weights:
    """The weights that a run scores and stores: their moving average if the recipe has one, else the learned ones."""

    def __init__(self, module: TrainingModule, average: MovingAverage | None) -> None:
        self._module = module
        self._average = average

    def model(self) -> SegmentationModel:
        return self._module.model if self._average is None else self._average.model

    def save(self, path: Path, score: Score | None) -> None:
        """Writes them with their specification, and with their score if they were scored."""
        model = self.model()
        spec = model.spec
        model.spec = spec.model_copy(update={"scores": () if score is None else (score,)})
        try:
            save_model(model, path)
        finally:
            model.spec = spec


class ValidationCallback(Callback):
    """Scores the weights every `evaluate_every` iterations and at the end, and keeps the best.

    It is a callback rather than Lightning's validation loop because its scores must come from the scorer that
    `rapidseg eval` uses, and because a run that is stopped during an evaluation must resume with that evaluation.

    Attributes:
        last, best: `iteration`, `mean_iou`, `mean_accuracy` and `pixel_accuracy` of the last and of the best
            evaluation; None before the first.
    """

    def __init__(
        self,
        recipe: Recipe,
        dataset: Dataset,
        weights: Weights,
        folder: RunFolder,
        metrics: MetricsCallback,
        progress: Progress,
        signals: StopSignals,
    ) -> None:
        self._recipe = recipe
        self._dataset = dataset
        self._weights = weights
        self._folder = folder
        self._metrics = metrics
        self._progress = progress
        self._signals = signals
        self.last: dict[str, Any] | None = None
        self.best: dict[str, Any] | None = None

    @property
    def state_key(self) -> str:
        return "Scoring"  # under which states on disk have it since the first version

    def score_at(self, iteration: int) -> Score | None:
        """Returns the score of the last evaluation if that was after `iteration`."""
        return self._score(self.last) if self.last is not None and self.last["iteration"] == iteration else None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # A run that was stopped during an evaluation starts with it.
        if trainer.global_step and self._is_due(trainer.global_step) and self.score_at(trainer.global_step) is None:
            self._run(trainer)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if (batch_idx + 1) % self._recipe.accumulate == 0 and self._is_due(trainer.global_step):
            self._run(trainer)

    def state_dict(self) -> dict[str, Any]:
        return {"last": self.last, "best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.last, self.best = state_dict["last"], state_dict["best"]

    def _is_due(self, iteration: int) -> bool:
        return iteration % self._recipe.evaluate_every == 0 or iteration == self._recipe.iterations

    def _run(self, trainer: Trainer) -> None:
        with self._metrics.watch.paused():
            evaluation = self._evaluate()
            scores = evaluation.scores
            iteration = trainer.global_step
            self.last = {
                "iteration": iteration,
                "mean_iou": float(scores.mean_iou),
                "mean_accuracy": float(scores.mean_accuracy),
                "pixel_accuracy": float(scores.pixel_accuracy),
            }
            metrics = {f"val/{name}": value for name, value in self.last.items() if name != "iteration"}
            metrics |= {
                f"val/iou/{name}": float(iou) for name, iou in zip(evaluation.labels.names, scores.iou, strict=True)
            }
            log(trainer, metrics, iteration)
            if self.best is None or self.last["mean_iou"] > self.best["mean_iou"]:
                self.best = self.last
                self._weights.save(self._folder.best, self._score(self.last))
            self._progress.metrics(iteration, metrics)

    def _evaluate(self) -> Evaluation:
        segmenter = Segmenter.from_model(self._weights.model())

        def predict(image: np.ndarray) -> np.ndarray:
            self._signals.check()
            return segmenter.class_map(image)

        return score(predict, self._dataset, progress=counter(self._progress, EVALUATING))

    def _score(self, scores: dict[str, Any]) -> Score | None:
        if math.isnan(scores["mean_iou"]):  # the split has no labeled pixel
            return None
        values = {name: value for name, value in scores.items() if name != "iteration"}
        return Score(dataset=self._dataset.name, split=self._dataset.split, protocol=_protocol(self._recipe), **values)


def _protocol(recipe: Recipe) -> str:
    side = recipe.model.input_short_side
    return "whole image, single scale" + (f", short side resized to {side} pixels" if side else "")

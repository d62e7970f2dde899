"""Scores of an encoder during a run: nearest neighbors of its features, or its own classifier."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from rapidseg.core.files import write_text
from rapidseg.core.progress import Progress
from rapidseg.pretraining.batches import ImageSet
from rapidseg.pretraining.knn import knn_scores, top_k_accuracy
from rapidseg.pretraining.methods import Method
from rapidseg.pretraining.plan import PretrainingPlan
from rapidseg.recipes.pretraining_schema import EvaluationSection
from rapidseg.training.metrics_callback import MetricsCallback, log
from rapidseg.training.run_folder import RunFolder
from rapidseg.training.stopping import StopSignals

SCORING = "scoring"
"""The task under which a run reports the images that it has scored."""

_AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}


class EncoderWeights:
    """Writes the encoder of a run, with its scores inside."""

    def __init__(self, method: Method) -> None:
        self._method = method

    def save(self, path: Path, score: dict[str, Any] | None) -> None:
        encoder = self._method.encoder
        spec = encoder.spec
        encoder.spec = spec.model_copy(update={"scores": {} if score is None else _accuracies(score)})
        try:
            encoder.save(path)
        finally:
            encoder.spec = spec


class ScoringCallback(Callback):
    """Scores the encoder every N epochs and at the end, keeps the best weights, and writes the table of results.

    Args:
        plan: of the run.
        method: whose encoder is scored.
        train: images whose features vote, with classes.
        val: images to classify, of the same classes; None only writes the losses.
        num_classes: of both.
        options: of the nearest neighbors.
        weights: writes the best weights.
        folder: of the run.
        results: the CSV file.
        metrics: whose watch stands still while images are scored.
        progress: reports `scoring` in images, and the scores.
        signals: that stop the run.

    Attributes:
        last, best: `iteration`, `epoch`, `top1` and `top5` (0 to 1) of the last and of the best score; None before the
            first.
        history: a row per epoch: its mean loss, and its scores where it was scored.
    """

    def __init__(
        self,
        plan: PretrainingPlan,
        method: Method,
        train: ImageSet,
        val: ImageSet | None,
        num_classes: int,
        options: EvaluationSection,
        weights: EncoderWeights,
        folder: RunFolder[Any],
        results: Path,
        metrics: MetricsCallback,
        progress: Progress,
        signals: StopSignals,
    ) -> None:
        self._plan = plan
        self._method = method
        self._train = train
        self._val = val
        self._num_classes = num_classes
        self._options = options
        self._weights = weights
        self._folder = folder
        self._results = results
        self._metrics = metrics
        self._progress = progress
        self._signals = signals
        self.last: dict[str, Any] | None = None
        self.best: dict[str, Any] | None = None
        self.history: list[dict[str, Any]] = []
        self._loss_sum: Tensor | None = None
        self._images = 0

    @property
    def state_key(self) -> str:
        return "Scoring"

    def score_at(self, iteration: int) -> dict[str, Any] | None:
        """Returns the last score if it was taken after `iteration`."""
        return self.last if self.last is not None and self.last["iteration"] == iteration else None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # A run that was stopped during an evaluation starts with it.
        iteration = trainer.global_step
        if iteration and self._is_due(iteration) and len(self.history) < iteration // self._plan.per_epoch:
            self._end_epoch(trainer)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        count = len(batch.indices)
        loss = outputs["loss"].detach() * count
        self._loss_sum = loss if self._loss_sum is None else self._loss_sum.to(loss.device) + loss
        self._images += count
        if trainer.global_step % self._plan.per_epoch == 0:
            self._end_epoch(trainer)

    def state_dict(self) -> dict[str, Any]:
        return {
            "last": self.last,
            "best": self.best,
            "history": self.history,
            "loss_sum": self._loss_sum,
            "images": self._images,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.last, self.best, self.history = state_dict["last"], state_dict["best"], state_dict["history"]
        self._loss_sum, self._images = state_dict["loss_sum"], state_dict["images"]

    def _is_due(self, iteration: int) -> bool:
        return iteration % self._plan.evaluate_every == 0 or iteration == self._plan.iterations

    def _end_epoch(self, trainer: Trainer) -> None:
        iteration = trainer.global_step
        assert self._loss_sum is not None
        row: dict[str, Any] = {
            "epoch": iteration // self._plan.per_epoch,
            "train_loss": self._loss_sum.item() / self._images,
        }
        metrics = {"train/epoch_loss": row["train_loss"]}
        if self._val is not None and self._is_due(iteration):
            with self._metrics.watch.paused():
                row |= self._score(self._val, trainer.strategy.root_device)
            self.last = {"iteration": iteration, **row}
            metrics |= {"val/top1": row["top1"], "val/top5": row["top5"]}
            if self.best is None or row["top1"] > self.best["top1"]:
                self.best = self.last
                self._weights.save(self._folder.best, self.last)
        self.history.append(row)
        self._loss_sum, self._images = None, 0
        write_text(self._results, results_table(self.history))
        log(trainer, metrics, iteration)
        self._progress.metrics(iteration, {**metrics, "train/epoch": row["epoch"]})

    def _score(self, val: ImageSet, device: torch.device) -> dict[str, float]:
        assert val.labels is not None
        labels = val.labels.to(device)
        sets = [val] if self._method.learns_classes else [self._train, val]
        total = sum(map(len, sets))
        with _evaluating(self._method), self._autocast(device):
            if self._method.learns_classes:
                scores = torch.cat(list(self._map(self._method.class_logits, val, device, 0, total)))
            else:
                assert self._train.labels is not None
                bank = torch.cat(list(self._map(self._method.encoder, self._train, device, 0, total)))
                queries = torch.cat(list(self._map(self._method.encoder, val, device, len(self._train), total)))
                scores = knn_scores(
                    queries,
                    bank,
                    self._train.labels.to(device),
                    self._options.k,
                    self._options.temperature,
                    num_classes=self._num_classes,
                )
        return {"top1": top_k_accuracy(scores, labels, 1), "top5": top_k_accuracy(scores, labels, 5)}

    def _map(
        self, network: Callable[[Tensor], Tensor], images: ImageSet, device: torch.device, done: int, total: int
    ) -> Iterator[Tensor]:
        for batch in images.test_batches(device):
            self._signals.check()
            yield network(batch.contiguous(memory_format=torch.channels_last)).float()
            done += len(batch)
            self._progress.update(SCORING, done, total)

    def _autocast(self, device: torch.device) -> contextlib.AbstractContextManager[Any]:
        if self._plan.precision == "float32":
            return contextlib.nullcontext()
        return torch.autocast(device.type, _AUTOCAST[self._plan.precision])


@contextlib.contextmanager
def _evaluating(method: Method) -> Iterator[None]:
    method.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        method.train()


def results_table(history: list[dict[str, Any]]) -> str:
    """Returns the CSV table of the published code: losses, and accuracies in percent; empty where not scored."""
    lines = ["epoch,train_loss,test_acc@1,test_acc@5"]
    for row in history:
        scores = [f"{100 * row[name]:.6g}" if name in row else "" for name in ("top1", "top5")]
        lines.append(f"{row['epoch']},{row['train_loss']:.8g},{','.join(scores)}")
    return "\n".join(lines) + "\n"


def _accuracies(score: dict[str, Any]) -> dict[str, float]:
    return {name: score[name] for name in ("top1", "top5")}

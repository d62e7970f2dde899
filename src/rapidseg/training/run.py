"""`train`: a whole run, from a recipe to weights."""

from __future__ import annotations

import contextlib
import os
import pickle
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.loggers import TensorBoardLogger

from rapidseg.core.errors import ConfigError, TrainingError
from rapidseg.core.quiet import quiet_libraries
from rapidseg.recipes.schema import Recipe
from rapidseg.training.averaging import MovingAverage
from rapidseg.training.checkpointing import Saving
from rapidseg.training.json_lines import JsonLinesLogger
from rapidseg.training.preparation import prepare
from rapidseg.training.progress import MetricsCallback, NullReporter, Reporter
from rapidseg.training.run_folder import RunFolder
from rapidseg.training.stopping import StopRequested, StopSignals, TrainingStopped
from rapidseg.training.validation import Scoring, Weights

_PRECISIONS: dict[str, Literal["32-true", "bf16-mixed", "16-mixed"]] = {
    "float32": "32-true",
    "bf16": "bf16-mixed",
    "fp16": "16-mixed",
}


@dataclass(frozen=True)
class TrainingSummary:
    """What a run came to.

    Attributes:
        output: its folder.
        iterations: done.
        seconds: taken, all processes together.
        images_per_s: mean of this process, without evaluation and saving; 0 if nothing was left to do.
        best, last: `iteration`, `mean_iou`, `mean_accuracy` and `pixel_accuracy` of the best and of the last
            evaluation; None if nothing was scored.
        best_weights, last_weights: their files.
    """

    output: Path
    iterations: int
    seconds: float
    images_per_s: float
    best: dict[str, Any] | None
    last: dict[str, Any] | None
    best_weights: Path | None
    last_weights: Path

    def to_dict(self) -> dict[str, Any]:
        """Returns everything for JSON."""
        return {key: str(value) if isinstance(value, Path) else value for key, value in asdict(self).items()}


def train(
    recipe: Recipe | None,
    output: str | os.PathLike[str],
    *,
    resume: bool = False,
    device: str = "auto",
    reporter: Reporter | None = None,
    command: Sequence[str] = (),
) -> TrainingSummary:
    """Trains a network.

    Ctrl-C and SIGTERM end the iteration, save, and raise `TrainingStopped`. A run that goes on computes what it would
    have computed without the stop.

    Args:
        recipe: the run; None with `resume` takes that of the folder.
        output: the run's folder; docs/training.md lists its files.
        resume: go on with the run in that folder.
        device: `cpu`, `cuda`, or `auto`, which takes a CUDA GPU if there is one.
        reporter: is told what happens.
        command: words of the command line, to be written beside the recipe.

    Raises:
        ConfigError: the recipe does not fit the data or the network, or the folder cannot be used.
        DatasetError: the data are missing or wrong.
        TrainingError: the loss is not finite, or the saved state cannot be read.
        TrainingStopped: a signal came.
    """
    folder = RunFolder(Path(output))
    if resume:
        recipe = folder.resume(recipe)
    elif recipe is None:
        raise ConfigError("a recipe is needed, except to go on with a run (--resume)")
    reporter = reporter or NullReporter()
    state = folder.state if resume and folder.state.exists() else None
    prepared = prepare(recipe, device, from_the_start=state is None, progress=reporter.downloading)
    module, loader = prepared.module, prepared.loader
    if not resume:
        folder.begin(recipe, command)

    average = None if recipe.ema_decay is None else MovingAverage(recipe.ema_decay)
    weights = Weights(module, average)
    telemetry = MetricsCallback(recipe, loader, reporter)
    with _quiet_lightning(), StopSignals() as signals:
        scoring = None
        if prepared.val is not None:
            scoring = Scoring(recipe, prepared.val, weights, folder, telemetry, reporter, signals)
        saving = Saving(recipe, weights, folder, telemetry, scoring, signals)
        callbacks: list[Callback | None] = [average, telemetry, scoring, saving]
        done = _iterations_in(state)
        trainer = Trainer(
            accelerator="gpu" if prepared.device == "cuda" else "cpu",
            devices=1,
            precision=_PRECISIONS[recipe.precision],
            max_steps=recipe.iterations,
            max_epochs=-1,
            accumulate_grad_batches=recipe.accumulate,
            gradient_clip_val=recipe.clip_gradient_norm,
            benchmark=True,
            callbacks=[callback for callback in callbacks if callback is not None],
            logger=[
                JsonLinesLogger(folder.log, keep_until=done),
                TensorBoardLogger(
                    folder.path, name="", version=folder.tensorboard.name, default_hp_metric=False, purge_step=done + 1
                ),
            ],
            log_every_n_steps=1,  # MetricsCallback decides
            default_root_dir=folder.path,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
        )
        try:
            trainer.fit(module, loader, ckpt_path=None if state is None else str(state))
        except StopRequested:
            assert signals.received is not None
            raise TrainingStopped(trainer.global_step, signals.received) from None
        finally:
            loader.close()
    return TrainingSummary(
        output=folder.path,
        iterations=trainer.global_step,
        seconds=telemetry.seconds,
        images_per_s=telemetry.images_per_s(trainer.global_step),
        best=None if scoring is None else scoring.best,
        last=None if scoring is None else scoring.last,
        best_weights=folder.best if folder.best.exists() else None,
        last_weights=folder.last,
    )


def _iterations_in(state: Path | None) -> int:
    """Returns how many iterations a saved state has behind it.

    Raises:
        TrainingError: the file cannot be read.
    """
    if state is None:
        return 0
    try:
        return int(torch.load(state, map_location="cpu", weights_only=True)["global_step"])
    except (OSError, RuntimeError, pickle.UnpicklingError, KeyError, EOFError) as error:
        raise TrainingError(
            f"{state} is no state of a run that can be read ({error}); begin a new run in another folder"
        ) from error


def _quiet_lightning() -> contextlib.AbstractContextManager[None]:
    """Drops warnings of Lightning and PyTorch about choices that are intended."""
    return quiet_libraries(
        loggers=["lightning.pytorch"],
        ignored_warnings=(
            ".*does not have many workers.*",  # the recipe says how many
            r".*`lr_scheduler\.step\(\)` before `optimizer\.step\(\)`.*",  # fp16 skips steps at first
            ".*multi-threaded, use of fork.*",  # workers use neither PyTorch's threads nor TensorBoard's
            ".*GPU available but not used.*",  # by --device cpu
            ".*LeafSpec.*",  # Lightning 2.6 with PyTorch 2.13
        ),
    )

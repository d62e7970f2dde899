"""`train`: a whole run, from a recipe to weights."""

from __future__ import annotations

import contextlib
import os
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.loggers import TensorBoardLogger

from rapidseg.core.errors import ConfigError, TrainingError
from rapidseg.core.progress import SILENT, Progress
from rapidseg.core.quiet import quiet_libraries
from rapidseg.recipes.schema import Recipe
from rapidseg.training.averaging import MovingAverage
from rapidseg.training.checkpoint_callback import CheckpointCallback
from rapidseg.training.json_lines import JsonLinesLogger
from rapidseg.training.metrics_callback import MetricsCallback
from rapidseg.training.preparation import Prepared, prepare
from rapidseg.training.run_folder import RunFolder
from rapidseg.training.stopping import StopRequested, StopSignals, TrainingStopped
from rapidseg.training.training_report import TrainingReport
from rapidseg.training.validation_callback import RunWeights, ValidationCallback

_PRECISIONS: dict[str, Literal["32-true", "bf16-mixed", "16-mixed"]] = {
    "float32": "32-true",
    "bf16": "bf16-mixed",
    "fp16": "16-mixed",
}


def train(
    recipe: Recipe | None,
    output: str | os.PathLike[str],
    *,
    resume: bool = False,
    device: str = "auto",
    progress: Progress = SILENT,
    command: Sequence[str] = (),
) -> TrainingReport:
    """Trains a network.

    Ctrl-C and SIGTERM end the iteration, save the state, and raise `TrainingStopped`. A resumed run computes exactly
    what it would have computed without the interruption. A run that fails before its first iteration is done leaves
    its folder as it was.

    Args:
        recipe: of the run; None with `resume` uses the recipe in the folder.
        output: the run's folder; docs/training.md lists its files.
        resume: resume the run in that folder.
        device: `cpu`, `cuda`, or `auto`, which uses a CUDA GPU if one is available.
        progress: reports `training` in iterations, with losses and speed as metrics, and `evaluating` in images.
        command: words of the command line, written beside the recipe.

    Raises:
        ConfigError: the recipe does not fit the data or the network, or the folder cannot be used.
        DatasetError: the data are missing or wrong.
        TrainingError: the loss is not finite, or the saved state cannot be read.
        TrainingStopped: a signal stopped the run.
    """
    folder = RunFolder(Path(output))
    if resume:
        recipe = folder.resume(recipe)
    elif recipe is None:
        raise ConfigError(
            "a new run needs a recipe; to resume a run without one, pass --resume (resume=True in Python)"
        )
    state = folder.state if resume and folder.state.exists() else None
    prepared = prepare(recipe, device, resuming=state is not None, progress=progress)
    if not resume:
        folder.begin(recipe, command)
    with _quiet_lightning(), StopSignals() as signals:
        run = _Run(recipe, prepared, folder, state, progress, signals)
        try:
            return run.fit()
        except Exception:
            if not resume and run.trainer.global_step == 0:
                folder.discard()
            raise


class _Run:
    """The callbacks and the trainer of a run."""

    def __init__(
        self,
        recipe: Recipe,
        prepared: Prepared,
        folder: RunFolder,
        state: Path | None,
        progress: Progress,
        signals: StopSignals,
    ) -> None:
        self._prepared = prepared
        self._folder = folder
        self._state = state
        self._signals = signals
        average = None if recipe.ema_decay is None else MovingAverage(recipe.ema_decay)
        weights = RunWeights(prepared.module, average)
        self._metrics = MetricsCallback(recipe, prepared.loader, progress)
        self._validation: ValidationCallback | None = None
        if prepared.val is not None:
            self._validation = ValidationCallback(
                recipe, prepared.val, weights, folder, self._metrics, progress, signals
            )
        checkpoint = CheckpointCallback(recipe, weights, folder, self._metrics, self._validation, signals)
        callbacks: list[Callback | None] = [average, self._metrics, self._validation, checkpoint]
        done = _iterations_in(state)
        self.trainer = Trainer(
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

    def fit(self) -> TrainingReport:
        """Trains to the end; raises what `train` raises."""
        try:
            self.trainer.fit(
                self._prepared.module,
                self._prepared.loader,
                ckpt_path=None if self._state is None else str(self._state),
            )
        except StopRequested:
            assert self._signals.received is not None
            raise TrainingStopped(self.trainer.global_step, self._signals.received, self._folder.path) from None
        finally:
            self._prepared.loader.close()
        validation = self._validation
        return TrainingReport(
            output=self._folder.path,
            iterations=self.trainer.global_step,
            seconds=self._metrics.seconds,
            images_per_s=self._metrics.images_per_s(self.trainer.global_step),
            best=None if validation is None else validation.best,
            last=None if validation is None else validation.last,
            best_weights=self._folder.best if self._folder.best.exists() else None,
            last_weights=self._folder.last,
        )


def _iterations_in(state: Path | None) -> int:
    """Returns the iterations after which a state was saved; 0 without a state.

    Raises:
        TrainingError: the file cannot be read.
    """
    if state is None:
        return 0
    try:
        return int(torch.load(state, map_location="cpu", weights_only=True)["global_step"])
    except (OSError, RuntimeError, pickle.UnpicklingError, KeyError, EOFError) as error:
        raise TrainingError(
            f"cannot read {state}, the saved state of the run ({error}); start a new run in another folder"
        ) from error


def _quiet_lightning() -> contextlib.AbstractContextManager[None]:
    """Silences warnings of Lightning and PyTorch about choices that are intended."""
    return quiet_libraries(
        loggers=["lightning.pytorch"],
        ignored_warnings=(
            ".*does not have many workers.*",  # the recipe sets the number
            r".*`lr_scheduler\.step\(\)` before `optimizer\.step\(\)`.*",  # fp16 skips steps at first
            ".*multi-threaded, use of fork.*",  # workers use neither the threads of PyTorch nor those of TensorBoard
            ".*GPU available but not used.*",  # by --device cpu
            ".*LeafSpec.*",  # Lightning 2.6 with PyTorch 2.13
        ),
    )

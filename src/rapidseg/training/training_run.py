"""`train`: a whole run, from a recipe to weights."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from lightning.pytorch import Callback

from rapidseg.core.files import check_output_folder
from rapidseg.core.progress import SILENT, Progress
from rapidseg.recipes.recipe_file import dump_recipe
from rapidseg.recipes.schema import Recipe
from rapidseg.training.averaging import MovingAverage
from rapidseg.training.checkpoint_callback import CheckpointCallback
from rapidseg.training.metrics_callback import MetricsCallback
from rapidseg.training.preparation import Prepared, prepare, rehearse_step, step_pass
from rapidseg.training.run_folder import RunFolder
from rapidseg.training.run_identity import ImageNames, RunIdentity
from rapidseg.training.stopping import StopSignals
from rapidseg.training.trainer import complete_run, make_trainer, quiet_lightning
from rapidseg.training.training_report import TrainingReport
from rapidseg.training.validation_callback import RunWeights, ValidationCallback


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
        TrainingError: the loss is not finite, or the saved state cannot be read or belongs to other images.
        TrainingStopped: a signal stopped the run.
    """
    folder: RunFolder[Recipe] = RunFolder(check_output_folder(output))
    if not resume:
        folder.check_unused()
    recipe, state = folder.prepare(recipe, resume=resume)
    started_from = None if state is None else folder.read_initial_weights(recipe)
    prepared = prepare(recipe, device, resuming=state is not None, initial_weights=started_from, progress=progress)
    identity = _identify(recipe, prepared)
    if state is not None:
        identity.check_images(state)
    rehearse_step(recipe, prepared)
    with folder.claimed(recipe, command, resumed=resume), quiet_lightning(), StopSignals() as signals:
        if state is None and prepared.initial_weights is not None:
            folder.write_initial_weights(prepared.initial_weights)
        run = _Run(recipe, prepared, folder, state, progress, signals, identity)
        complete_run(
            run.trainer,
            prepared.module,
            prepared.loader,
            state=state,
            folder=folder,
            signals=signals,
            command="train",
            step=step_pass(recipe),
        )
        return run.report()


def _identify(recipe: Recipe, prepared: Prepared) -> RunIdentity:
    sets = {"train": prepared.train, "val": prepared.val}
    names = {
        use: ImageNames.of(split.split, map(split.sample_name, range(len(split))))
        for use, split in sets.items()
        if split is not None
    }
    return RunIdentity(dump_recipe(recipe), names)


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
        identity: RunIdentity,
    ) -> None:
        self._folder = folder
        average = None if recipe.ema_decay is None else MovingAverage(recipe.ema_decay)
        weights = RunWeights(prepared.module, average)
        self._metrics = MetricsCallback(recipe, prepared.loader, progress)
        self._validation: ValidationCallback | None = None
        if prepared.val is not None:
            self._validation = ValidationCallback(
                recipe, prepared.val, weights, folder, self._metrics, progress, signals
            )
        checkpoint = CheckpointCallback(recipe, weights, folder, self._metrics, self._validation, signals, identity)
        callbacks: list[Callback | None] = [average, self._metrics, self._validation, checkpoint]
        self.trainer = make_trainer(recipe, prepared.device, folder, state, callbacks)

    def report(self) -> TrainingReport:
        """Returns the outcome of the finished run."""
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

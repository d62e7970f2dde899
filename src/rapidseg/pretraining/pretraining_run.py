"""`pretrain`: a whole run, from a recipe to an encoder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from rapidseg.core.files import check_output_folder
from rapidseg.core.progress import SILENT, Progress
from rapidseg.pretraining.preparation import (
    PreparedPretraining,
    prepare_pretraining,
    pretraining_pass,
    rehearse_pretraining,
)
from rapidseg.pretraining.pretraining_report import PretrainingReport
from rapidseg.pretraining.scoring import EncoderWeights, ScoringCallback
from rapidseg.recipes.pretraining_schema import InstanceDiscriminationSection, PretrainingRecipe
from rapidseg.recipes.recipe_file import dump_recipe, load_pretraining_recipe
from rapidseg.training.checkpoint_callback import CheckpointCallback
from rapidseg.training.metrics_callback import MetricsCallback
from rapidseg.training.run_folder import RunFolder
from rapidseg.training.run_identity import ImageNames, RunIdentity
from rapidseg.training.stopping import StopSignals
from rapidseg.training.trainer import complete_run, make_trainer, quiet_lightning

# Keys that may change when a run is resumed: where the images are and how much is logged, not what is learned.
_CHANGEABLE = ("data.root", "data.workers", "save_every", "log_every")


def pretrain(
    recipe: PretrainingRecipe | None,
    output: str | os.PathLike[str],
    *,
    resume: bool = False,
    device: str = "auto",
    progress: Progress = SILENT,
    command: Sequence[str] = (),
) -> PretrainingReport:
    """Pre-trains an encoder.

    Ctrl-C and SIGTERM end the iteration, save the state, and raise `TrainingStopped`. A resumed run computes exactly
    what it would have computed without the interruption. A run that fails before its first iteration is done leaves
    its folder as it was.

    Args:
        recipe: of the run; None with `resume` uses the recipe in the folder.
        output: the run's folder; docs/pretraining.md lists its files.
        resume: resume the run in that folder.
        device: `cpu`, `cuda`, or `auto`, which uses a CUDA GPU if one is available.
        progress: reports `training` in iterations, with loss and speed as metrics, and `scoring` in images.
        command: words of the command line, written beside the recipe.

    Raises:
        ConfigError: the recipe does not fit the images, or the folder cannot be used.
        DatasetError: the images are missing or damaged.
        TrainingError: the loss is not finite, or the saved state cannot be read or belongs to other images.
        TrainingStopped: a signal stopped the run.
    """
    folder = RunFolder(check_output_folder(output), read_recipe=load_pretraining_recipe, changeable=_CHANGEABLE)
    if not resume:
        folder.check_unused()
    recipe, state = folder.prepare(recipe, resume=resume)
    prepared = prepare_pretraining(recipe, device, progress=progress)
    identity = _identify(recipe, prepared)
    if state is not None:
        identity.check_images(state)
    rehearse_pretraining(recipe, prepared)
    with folder.claimed(recipe, command, resumed=resume), quiet_lightning(), StopSignals() as signals:
        run = _Run(recipe, prepared, folder, state, progress, signals, identity)
        complete_run(
            run.trainer,
            prepared.module,
            prepared.loader,
            state=state,
            folder=folder,
            signals=signals,
            command="pretrain",
            step=pretraining_pass(recipe, prepared),
        )
        return run.report()


class _Run:
    """The callbacks and the trainer of a run."""

    def __init__(
        self,
        recipe: PretrainingRecipe,
        prepared: PreparedPretraining,
        folder: RunFolder[PretrainingRecipe],
        state: Path | None,
        progress: Progress,
        signals: StopSignals,
        identity: RunIdentity,
    ) -> None:
        self._prepared = prepared
        self._folder = folder
        plan, method = prepared.plan, prepared.module.method
        self._results = folder.path / "results" / f"{_results_name(recipe)}_results.csv"
        weights = EncoderWeights(method)
        self._metrics = MetricsCallback(plan, prepared.loader, progress)
        self._scoring = ScoringCallback(
            plan,
            method,
            prepared.train,
            prepared.val,
            prepared.num_classes,
            recipe.evaluation,
            weights,
            folder,
            self._results,
            self._metrics,
            progress,
            signals,
        )
        checkpoint = CheckpointCallback(plan, weights, folder, self._metrics, self._scoring, signals, identity)
        self.trainer = make_trainer(plan, prepared.device, folder, state, [self._metrics, self._scoring, checkpoint])

    def report(self) -> PretrainingReport:
        """Returns the outcome of the finished run."""
        iterations = self.trainer.global_step
        return PretrainingReport(
            output=self._folder.path,
            epochs=iterations // self._prepared.plan.per_epoch,
            iterations=iterations,
            seconds=self._metrics.seconds,
            images_per_s=self._metrics.images_per_s(iterations),
            best=self._scoring.best,
            last=self._scoring.last,
            best_weights=self._folder.best if self._folder.best.exists() else None,
            last_weights=self._folder.last,
            results=self._results,
        )


def _identify(recipe: PretrainingRecipe, prepared: PreparedPretraining) -> RunIdentity:
    sets = {"train": prepared.train, "val": prepared.val}
    images = {use: split.images for use, split in sets.items() if split is not None}
    names = {use: ImageNames.of(split.split, split.relative_names()) for use, split in images.items()}
    return RunIdentity(dump_recipe(recipe), names)


def _results_name(recipe: PretrainingRecipe) -> str:
    """Returns the length of a feature, by which the published code names its table, or the method's name."""
    method = recipe.method
    return str(method.feature_dim) if isinstance(method, InstanceDiscriminationSection) else method.name

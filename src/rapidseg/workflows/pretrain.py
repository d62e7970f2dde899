"""`pretrain`: from images, with or without classes, to an encoder that segmentation starts from."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from rapidseg.core.arguments import check_path, number
from rapidseg.core.choices import TrainingDevice
from rapidseg.core.errors import ConfigError
from rapidseg.core.extras import require_extra
from rapidseg.core.progress import SILENT, Progress
from rapidseg.pretraining.pretraining_report import PretrainingCheck, PretrainingReport
from rapidseg.training.stopping import TrainingStopped
from rapidseg.workflows.arguments import FLAG, checked, integer
from rapidseg.workflows.train import check_overrides, command_line, own_recipe

if TYPE_CHECKING:
    from rapidseg.recipes.pretraining_schema import PretrainingRecipe
    from rapidseg.recipes.recipe_file import Overrides

__all__ = ["PretrainingCheck", "PretrainingReport", "TrainingStopped", "pretrain"]

DEFAULT_RECIPE = "instance-discrimination_cifar10"


@checked(
    *("output", "device", "progress"),
    recipe=check_path,
    root=check_path,
    feature_dim=integer(1),
    m=integer(0),
    temperature=number(0),
    momentum=number(0, 1),
    k=integer(1),
    batch_size=integer(2),
    epochs=integer(1),
    overrides=check_overrides,
    resume=FLAG,
    dry_run=FLAG,
)
def pretrain(
    recipe: str | os.PathLike[str] | None = None,
    *,
    root: str | os.PathLike[str] | None = None,
    feature_dim: int | None = None,
    m: int | None = None,
    temperature: float | None = None,
    momentum: float | None = None,
    k: int | None = None,
    batch_size: int | None = None,
    epochs: int | None = None,
    overrides: Overrides | None = None,
    output: str | os.PathLike[str] | None = None,
    device: TrainingDevice = "auto",
    resume: bool = False,
    dry_run: bool = False,
    progress: Progress = SILENT,
) -> PretrainingReport:
    """Pre-trains an encoder; `train` starts from it with the recipe's key `model.weights`.

        rapidseg.pretrain("byol_cifar10", root="cifar10.zip", epochs=20, output="runs/byol")
        rapidseg.pretrain(output="runs/byol", resume=True)

    Args:
        recipe: the name of a pre-training recipe, or a recipe file. None resumes a run with its own recipe, or starts
            one with `instance-discrimination_cifar10`.
        root: the folder or .zip file of the images (`data.root`).
        feature_dim: length of a feature (`method.feature_dim`).
        m: negatives per image; 0 computes the softmax over all images (`method.m`).
        temperature: of the loss and of the nearest-neighbor score (`method.temperature`, `evaluation.temperature`).
        momentum: of the memory bank, or of BYOL's moving average (`method.momentum`).
        k: nearest neighbors that vote (`evaluation.k`).
        batch_size: images per optimizer step.
        epochs: passes over the images.
        overrides: further keys that differ from the recipe's: a mapping such as `{"optimizer.lr": 0.05}`, or texts
            `KEY=VALUE`.
        output: the run's folder; docs/pretraining.md lists its files. A folder that contains a run is rejected.
        device: `cpu`, `cuda`, or `auto`, which uses a CUDA GPU if one is available.
        resume: resume the run in `output`. It continues exactly as if it had not been interrupted.
        dry_run: check recipe, images and network with one batch and write nothing; the report then has a `check`.
        progress: reports `training` in iterations, with loss and speed as metrics; `scoring` in images; and images that
            are decoded or skipped.

    Raises:
        ConfigError: an argument is missing, the recipe is not valid or does not fit the images, the device is not
            available, or the folder cannot be used.
        DatasetError: the images are missing or damaged.
        TrainingError: the loss is not finite, or the saved state cannot be read or belongs to other images.
        TrainingStopped: Ctrl-C or SIGTERM; a KeyboardInterrupt, raised after the state was saved.
    """
    require_extra("train")
    from rapidseg.recipes.recipe_file import load_pretraining_recipe

    named = {
        "data.root": None if root is None else os.path.abspath(os.path.expanduser(root)),
        "method.feature_dim": feature_dim,
        "method.m": m,
        "method.temperature": temperature,
        "evaluation.temperature": temperature,
        "method.momentum": momentum,
        "evaluation.k": k,
        "batch_size": batch_size,
        "epochs": epochs,
    }
    source = recipe
    if source is None:
        source = own_recipe(output) if resume else DEFAULT_RECIPE
    loaded = load_pretraining_recipe(source, _merged(overrides, named))
    if dry_run:
        return _check(loaded, device, progress)
    if output is None:
        raise ConfigError("choose a folder for the run: --output runs/first (output= in Python)")
    from rapidseg.pretraining.pretraining_run import pretrain as run

    return run(loaded, output, resume=resume, device=device, progress=progress, command=command_line())


def _merged(overrides: Overrides | None, named: dict[str, Any]) -> Overrides:
    """Returns overrides with the named arguments that were passed; an explicit override of the same key wins."""
    given = {key: value for key, value in named.items() if value is not None}
    if overrides is None or isinstance(overrides, dict):
        return {**given, **(overrides or {})}
    texts = [overrides] if isinstance(overrides, str) else list(overrides)
    return [*(f"{key}={value}" for key, value in given.items()), *texts]


def _check(recipe: PretrainingRecipe, device: str, progress: Progress) -> PretrainingReport:
    from rapidseg.pretraining.preparation import check_pretraining

    started = time.perf_counter()
    check = check_pretraining(recipe, device, progress=progress)
    return PretrainingReport(
        output=None,
        epochs=0,
        iterations=0,
        seconds=time.perf_counter() - started,
        images_per_s=0.0,
        best=None,
        last=None,
        best_weights=None,
        last_weights=None,
        results=None,
        check=check,
    )

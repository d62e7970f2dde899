"""`train`: from a recipe, or from a description of your own data, to weights."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from rapidseg.core.arguments import as_texts, check_path
from rapidseg.core.choices import TrainingDevice
from rapidseg.core.errors import ConfigError
from rapidseg.core.extras import require_extra
from rapidseg.core.progress import DOWNLOADS, Progress
from rapidseg.training.stopping import TrainingStopped
from rapidseg.training.training_report import RunCheck, TrainingReport
from rapidseg.workflows.arguments import FLAG, checked, integer

if TYPE_CHECKING:
    from rapidseg.recipes.recipe_file import Overrides
    from rapidseg.recipes.schema import Recipe

__all__ = ["RunCheck", "TrainingReport", "TrainingStopped", "train"]

_WEIGHTS = "model.weights"
_NO_VALIDATION = (
    "{description} has no split 'val', so this run trains without validation and keeps only the last weights; "
    "describe a split 'val' to get scores and the best weights"
)


def check_overrides(name: str, value: object) -> None:
    """Allows a mapping, and one text or several."""
    if not isinstance(value, Mapping):
        as_texts(name, value)


@checked(
    *("output", "device", "progress"),
    recipe=check_path,
    overrides=check_overrides,
    weights=check_path,
    iterations=integer(1),
    resume=FLAG,
    dry_run=FLAG,
)
def train(
    recipe: str | os.PathLike[str] | None = None,
    *,
    overrides: Overrides | None = None,
    weights: str | os.PathLike[str] | None = None,
    iterations: int | None = None,
    output: str | os.PathLike[str] | None = None,
    device: TrainingDevice = "auto",
    resume: bool = False,
    dry_run: bool = False,
    progress: Progress = DOWNLOADS,
) -> TrainingReport:
    """Trains a network.

        rapidseg.train("my-streets.yaml", iterations=2000, output="runs/a")
        rapidseg.train("my-streets.yaml", weights="fast-scnn-camvid", output="runs/b")
        rapidseg.train("camvid/fast-scnn", overrides={"data.root": "data/camvid", "data.extra_datasets": []},
                       output="runs/camvid")
        rapidseg.train(output="runs/a", resume=True)

    Args:
        recipe: the name of a recipe, a recipe file, or a data description (a YAML file with `classes` and `splits`),
            which is trained with the recipe `own-data`. None resumes a run with its own recipe.
        overrides: keys that differ from the recipe's: a mapping such as `{"optimizer.lr": 0.05}`, or texts `KEY=VALUE`.
        weights: initial weights of the network, in place of the recipe's `model.weights` or `model.backbone_weights`:
            the file, URL or name of a checkpoint, or an encoder that `rapidseg pretrain` wrote. Tensors that do not
            fit, such as class layers for other classes, start from random weights.
        iterations: optimizer steps, in place of the recipe's. `evaluate_every` and `save_every` become a quarter of the
            run where they are longer than the run; a warm-up that is longer than a tenth of the run keeps its share of
            the recipe's own run. Keys in `overrides` stay as they are.
        output: the run's folder; docs/training.md lists its files. A folder that contains a run is rejected.
        device: `cpu`, `cuda`, or `auto`, which uses a CUDA GPU if one is available.
        resume: resume the run in `output`. It continues exactly as if it had not been interrupted.
        dry_run: check recipe, data and network with one batch and write nothing; the report then has a `check`.
        progress: reports `training` in iterations, with losses and speed as metrics; `evaluating` in images; the
            download of initial weights; what of them is used; and the warnings of the report.

    Raises:
        ConfigError: an argument is missing, the recipe is not valid or does not fit data or network, the initial
            weights belong to another network, the device is not available, or the folder cannot be used.
        ModelFileError: the initial weights cannot be read, or nothing in them fits.
        DatasetError: the data are missing or wrong.
        TrainingError: the loss is not finite, or the saved state cannot be read or belongs to other images.
        TrainingStopped: Ctrl-C or SIGTERM; a KeyboardInterrupt, raised after the state was saved.
    """
    from rapidseg.recipes.recipe_file import load_recipe

    require_extra("train")
    source = _find_source(recipe, output, resume)
    loaded = load_recipe(source, _with_weights(overrides or (), weights), iterations=iterations, note=progress.message)
    warnings = _warnings(source, loaded)
    for warning in warnings:
        progress.message(warning)
    if dry_run:
        warnings = (*warnings, *_check_data(loaded, progress))
        return _check(loaded, device, warnings, progress)
    if output is None:
        raise ConfigError("choose a folder for the run: --output runs/first (output= in Python)")
    from rapidseg.training import train as run

    if not resume:
        warnings = (*warnings, *_check_data(loaded, progress))
    report = run(loaded, output, resume=resume, device=device, progress=progress, command=command_line())
    return dataclasses.replace(report, warnings=warnings)


def _find_source(
    recipe: str | os.PathLike[str] | None, output: str | os.PathLike[str] | None, resume: bool
) -> str | os.PathLike[str]:
    """Returns where the recipe is: given, or in the folder of the run to resume."""
    if recipe is not None:
        return recipe
    if not resume:
        from rapidseg.recipes import recipe_names

        names = ", ".join(recipe_names())
        raise ConfigError(f"name a recipe: a recipe file, a data description (.yaml), or one of {names}")
    return own_recipe(output)


def own_recipe(output: str | os.PathLike[str] | None) -> Path:
    """Returns the recipe file in the folder of a run that is to be resumed.

    Raises:
        ConfigError: no folder is named, or it contains no run.
    """
    if output is None:
        raise ConfigError("name the folder of the run to resume: --output runs/first (output= in Python)")
    own = Path(output) / "recipe.yaml"
    if not os.path.isfile(own):
        raise ConfigError(f"{output} contains no run to resume; start one without --resume (resume=True in Python)")
    return own


def _with_weights(overrides: Overrides, weights: str | os.PathLike[str] | None) -> Overrides:
    """Adds the override that `weights` stands for."""
    if weights is None:
        return overrides
    name = os.fspath(weights)
    if isinstance(overrides, Mapping):
        return {**overrides, _WEIGHTS: name}
    texts = [overrides] if isinstance(overrides, str) else overrides
    return [*texts, f"{_WEIGHTS}={json.dumps(name)}"]  # JSON, so that YAML reads any name as a text


def command_line() -> tuple[str, ...]:
    """Returns the words of the command line if this process is `rapidseg`, to be recorded with the run."""
    program = Path(sys.argv[0])
    is_ours = program.stem == "rapidseg" or (program.stem == "__main__" and program.parent.name == "rapidseg")
    return ("rapidseg", *sys.argv[1:]) if is_ours else ()


def _warnings(source: str | os.PathLike[str], recipe: Recipe) -> tuple[str, ...]:
    from rapidseg.recipes.recipe_file import is_data_description

    if recipe.data.val is None and is_data_description(source):
        return (_NO_VALIDATION.format(description=source),)
    return ()


def _check_data(recipe: Recipe, progress: Progress) -> tuple[str, ...]:
    """Checks a bounded part of the data, reports what may go wrong, and returns it."""
    from rapidseg.workflows.data import check_training_data

    data = recipe.data
    train = [(data.name, data.root, data.train), *((part.name, part.root, part.split) for part in data.extra_datasets)]
    val = [] if data.val is None else [(data.name, data.root, data.val)]
    warnings = check_training_data(train, val, progress=progress)
    for warning in warnings:
        progress.message(f"warning: {warning}")
    return warnings


def _check(recipe: Recipe, device: str, warnings: tuple[str, ...], progress: Progress) -> TrainingReport:
    from rapidseg.training.preparation import check_run

    started = time.perf_counter()
    check = check_run(recipe, device, progress=progress)
    return TrainingReport(
        output=None,
        iterations=0,
        seconds=time.perf_counter() - started,
        images_per_s=0.0,
        best=None,
        last=None,
        best_weights=None,
        last_weights=None,
        warnings=warnings,
        check=check,
    )

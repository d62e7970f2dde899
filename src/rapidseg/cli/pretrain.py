"""`rapidseg pretrain`: from images to an encoder that segmentation starts from."""

from __future__ import annotations

from typing import Any

import typer

from rapidseg.cli.console import show_report
from rapidseg.cli.help import examples
from rapidseg.cli.options import pretraining as options
from rapidseg.cli.options.common import JsonOption


def register(app: typer.Typer) -> None:
    """Adds `pretrain`."""
    app.command(
        epilog=examples(
            "rapidseg pretrain byol_cifar10 --root cifar10.zip -o runs/byol", "rapidseg pretrain -o runs/byol --resume"
        )
    )(pretrain)


def pretrain(
    recipe: options.RecipeArgument = None,
    overrides: options.OverridesArgument = None,
    root: options.RootOption = None,
    output: options.OutputOption = None,
    epochs: options.EpochsOption = None,
    batch_size: options.BatchSizeOption = None,
    feature_dim: options.FeatureDimOption = None,
    m: options.NegativesOption = None,
    temperature: options.TemperatureOption = None,
    momentum: options.MomentumOption = None,
    k: options.NeighborsOption = None,
    resume: options.ResumeOption = False,
    device: options.DeviceOption = "auto",
    dry_run: options.DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Pre-train an encoder on images with or without classes.

    The output folder gets the encoder, the state from which the run resumes, logs, a table of the scores, and the
    recipe with every value. Start a segmentation run from it with `rapidseg train ... model.weights=FILE`.
    """
    from rapidseg.cli.tables.pretrain import PretrainingDisplay, print_report
    from rapidseg.workflows.pretrain import pretrain as run

    recipe, words = options.separate_overrides(recipe, overrides, recipe_is_optional=True)
    method: dict[str, Any] = {"feature_dim": feature_dim, "m": m, "temperature": temperature, "momentum": momentum}
    length: dict[str, Any] = {"k": k, "batch_size": batch_size, "epochs": epochs}
    where: dict[str, Any] = {"root": root, "output": output, "device": device, "resume": resume, "dry_run": dry_run}
    with PretrainingDisplay() as display:
        report = run(recipe, **method, **length, **where, overrides=words, progress=display)
    show_report(report, as_json, print_report)

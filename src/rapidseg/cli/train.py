"""`rapidseg train`: from a recipe, or from your own data, to weights."""

from __future__ import annotations

import typer

from rapidseg.cli.console import show_report
from rapidseg.cli.help import examples
from rapidseg.cli.options import training as options
from rapidseg.cli.options.common import JsonOption


def register(app: typer.Typer) -> None:
    """Adds `train`."""
    app.command(
        epilog=examples(
            "rapidseg train my-streets.yaml --iterations 2000 -o runs/a", "rapidseg train -o runs/a --resume"
        )
    )(train)


def train(
    recipe: options.RecipeArgument = None,
    overrides: options.OverridesArgument = None,
    output: options.OutputOption = None,
    weights: options.WeightsOption = None,
    iterations: options.IterationsOption = None,
    resume: options.ResumeOption = False,
    device: options.DeviceOption = "auto",
    dry_run: options.DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Train a network with a recipe, or on your own data.

    The output folder gets weights, the state from which the run resumes, logs, and the recipe with every value. Ctrl-C
    saves the state before it stops.
    """
    from rapidseg.cli.tables.train import TrainingDisplay, print_report
    from rapidseg.workflows.train import train as run

    recipe, words = options.separate_overrides(recipe, overrides, recipe_is_optional=resume)
    with TrainingDisplay() as display:
        report = run(
            recipe,
            overrides=words,
            weights=weights,
            iterations=iterations,
            output=output,
            device=device,
            resume=resume,
            dry_run=dry_run,
            progress=display,
        )
    show_report(report, as_json, print_report)

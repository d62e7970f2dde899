"""`rapidseg train`: a recipe to weights."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from rapidseg.cli.console import console, download_progress, errors, print_json
from rapidseg.cli.help import examples
from rapidseg.cli.options.common import JsonOption

if TYPE_CHECKING:
    from rapidseg.training import Recipe, TrainingSummary


def register(app: typer.Typer) -> None:
    """Adds `train`."""
    app.command(
        epilog=examples(
            "rapidseg train fast-scnn_camvid data.root=camvid -o runs/a", "rapidseg train -o runs/a --resume"
        )
    )(train)


def train(
    recipe: Annotated[
        str | None,
        typer.Argument(
            help="Name of a recipe, such as fast-scnn_camvid, or a YAML file; not needed with --resume.",
            show_default=False,
        ),
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[KEY=VALUE]...",
            help="Keys that differ from the recipe, such as optimizer.lr=0.05.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for the run.", show_default=False)
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in the output folder.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check recipe, data and network with one batch; write nothing.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Train a network as a recipe says.

    The output folder gets the best and the last weights, the state from which the run can go on, a log and what
    TensorBoard shows. Ctrl-C saves before it stops.
    """
    from rapidseg.core.errors import ConfigError
    from rapidseg.training import TrainingStopped
    from rapidseg.training import train as run

    wanted = _read_recipe(recipe, overrides or [], output, resume)
    if dry_run and wanted is not None:
        _check(wanted, device, as_json)
        return
    if output is None:
        raise ConfigError("give a folder for the run: --output runs/first")
    display = _Display()
    try:
        with display.progress:
            summary = run(
                wanted, output, resume=resume, device=device, reporter=display, command=["rapidseg", *sys.argv[1:]]
            )
    except TrainingStopped as stop:
        errors.print(
            f"stopped and saved after iteration {stop.iteration}; go on with: "
            f"rapidseg train --output {escape(str(output))} --resume",
            highlight=False,
            soft_wrap=True,
        )
        raise typer.Exit(128 + stop.signal_number) from None
    if as_json:
        print_json(summary.to_dict())
    else:
        _print_summary(summary)


def _read_recipe(recipe: str | None, overrides: list[str], output: Path | None, resume: bool) -> Recipe | None:
    """Returns the recipe; None with `resume` and nothing to read, which `train` then explains."""
    from rapidseg.core.errors import ConfigError
    from rapidseg.recipes import find_recipe, recipe_names
    from rapidseg.training import load_recipe

    if resume and output is not None and (recipe is None or "=" in recipe):
        own = output / "recipe.yaml"
        words = overrides if recipe is None else [recipe, *overrides]
        return load_recipe(own, words) if own.is_file() else None
    if recipe is None:
        raise ConfigError(f"give a recipe: a YAML file, or one of {', '.join(recipe_names())}")
    return load_recipe(find_recipe(recipe), overrides)


def _check(recipe: Recipe, device: str, as_json: bool) -> None:
    from rapidseg.training.preparation import check_run

    with download_progress() as downloading:
        report = check_run(recipe, device, progress=downloading)
    if as_json:
        print_json(report)
        return
    val = "nothing to score" if report["val_images"] is None else f"{report['val_images']} to score"
    console.print(
        f"The recipe, the data and the network fit: {report['train_images']} images to learn from, {val}, "
        f"{report['parameters'] / 1e6:.2f} M parameters on {report['device']}; loss of the first batch "
        f"{report['loss']:.3f}. Nothing was written.",
        highlight=False,
        soft_wrap=True,
    )


def _print_summary(summary: TrainingSummary) -> None:
    lines = [f"{summary.iterations} iterations in {_duration(summary.seconds)}"]
    if summary.best is not None:
        lines.append(f"best mIoU {summary.best['mean_iou']:.4f} after iteration {summary.best['iteration']}")
    if summary.last is not None:
        lines.append(f"last mIoU {summary.last['mean_iou']:.4f}")
    files = [str(path) for path in (summary.best_weights, summary.last_weights) if path is not None]
    console.print(f"{', '.join(lines)}; wrote {escape(' and '.join(files))}", highlight=False, soft_wrap=True)


class _Display:
    """Shows a run: a line that changes on a terminal, a line for each set of figures in a file."""

    def __init__(self) -> None:
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}"),
            console=errors,
            disable=not errors.is_terminal,
        )
        self._training = self.progress.add_task("training", total=None, figures="")
        self._scoring = self.progress.add_task("scoring", total=None, figures="", visible=False)
        self._downloading = self.progress.add_task("downloading", total=None, figures="MB", visible=False)
        self._iterations = 0
        self._best = 0.0

    def downloading(self, done: int, total: int | None) -> None:
        size = None if total is None else total / 1e6
        self.progress.update(self._downloading, completed=done / 1e6, total=size, visible=done != total)

    def begin(self, done: int, iterations: int) -> None:
        self._iterations = iterations
        self.progress.update(self._training, completed=done, total=iterations)

    def step(self, iteration: int) -> None:
        self.progress.update(self._training, completed=iteration)

    def metrics(self, iteration: int, metrics: Mapping[str, float]) -> None:
        if "val/mean_iou" in metrics:
            self.progress.update(self._scoring, visible=False)
            self._print(
                f"iteration {iteration}: mIoU {metrics['val/mean_iou']:.4f}, "
                f"pixel accuracy {metrics['val/pixel_accuracy']:.4f}"
            )
            return
        figures = (
            f"{metrics['train/images_per_s']:.1f} images/s, {metrics['train/data_wait_share']:.0%} waiting for data, "
            f"loss {metrics['train/loss']:.4f}, rate {metrics['train/learning_rate']:.2e}, "
            f"ETA {_duration(metrics['train/eta_s'])}"
        )
        self.progress.update(self._training, figures=figures)
        if not errors.is_terminal:
            self._print(f"iteration {iteration}/{self._iterations}: {figures}")

    def evaluating(self, done: int, images: int) -> None:
        self.progress.update(self._scoring, completed=done, total=images, visible=True)

    def _print(self, text: str) -> None:
        errors.print(text, highlight=False, soft_wrap=True, markup=False)


def _duration(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))

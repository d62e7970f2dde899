"""`rapidseg data prepare`: draw masks from the annotations that a data set publishes."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from rapidseg.cli.console import console, errors, print_json, progress
from rapidseg.cli.help import examples
from rapidseg.cli.options.common import JsonOption

if TYPE_CHECKING:
    from rapidseg.data.preparation import PreparedMasks

_ALL = "labelIds,labelTrainIds,instanceIds,instanceTrainIds"
_SHOWN = 20  # broken files that are listed


def register(data_app: typer.Typer) -> None:
    """Adds `data prepare`."""
    data_app.command(
        epilog=examples(
            "rapidseg data prepare cityscapes cityscapes/",
            "rapidseg data prepare cityscapes cityscapes/ --labels labelTrainIds",
        )
    )(prepare)


def prepare(
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="cityscapes.")],
    root: Annotated[Path, typer.Argument(metavar="ROOT", help="The folder that holds gtFine, gtCoarse or both.")],
    labels: Annotated[str, typer.Option(metavar="KIND,...", help="Masks to draw, with commas between them.")] = _ALL,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes that draw.", show_default="one for each processor")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Draw masks that are there already, too.")] = False,
    json: JsonOption = False,
) -> None:
    """Draw the masks of Cityscapes from its polygon files, equal to those of the official scripts.

    Masks that are there already are kept: run the command again to go on after an interruption. A polygon file that is
    broken is named and left out; the exit status is then 1.
    """
    from rapidseg.core.errors import InputError
    from rapidseg.data.preparation import prepare_cityscapes

    if dataset != "cityscapes":
        raise InputError(f"masks can be drawn for cityscapes only, not for {dataset!r}")
    started = time.perf_counter()
    with progress() as display:
        task = display.add_task("drawing", total=None)
        prepared = prepare_cityscapes(
            root,
            tuple(kind.strip() for kind in labels.split(",") if kind.strip()),
            workers=workers or os.cpu_count() or 1,
            overwrite=overwrite,
            progress=lambda done, total: display.update(task, completed=done, total=total),
        )
    if json:
        print_json({**prepared.to_dict(), "seconds": round(time.perf_counter() - started, 3)})
    else:
        _print_summary(prepared)
    if prepared.broken:
        raise typer.Exit(1)


def _print_summary(prepared: PreparedMasks) -> None:
    for file in prepared.broken[:_SHOWN]:
        line = f"{file.path.relative_to(prepared.root)}: {file.reason}"
        errors.print(f"[bold red]left out:[/] {escape(line)}", soft_wrap=True, highlight=False)
    if len(prepared.broken) > _SHOWN:
        errors.print(f"... and {len(prepared.broken) - _SHOWN} more; --json lists all", highlight=False)
    files = f"{prepared.num_annotations} polygon file{'' if prepared.num_annotations == 1 else 's'}"
    left_out = f", {len(prepared.broken)} left out" if prepared.broken else ""
    root = escape(str(prepared.root))
    for line in (
        f"{root}: {files}{left_out}; {prepared.num_drawn} masks drawn now, {prepared.num_kept} were there",
        f"look through them with: rapidseg data check cityscapes --root {root}",
    ):
        console.print(line, highlight=False, soft_wrap=True)

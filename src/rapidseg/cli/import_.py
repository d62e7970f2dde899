"""`rapidseg import`: writes a published checkpoint as a model file of this project."""

from __future__ import annotations

import typer

from rapidseg.cli.console import ProgressDisplay, show_report
from rapidseg.cli.help import examples
from rapidseg.cli.options import model_files
from rapidseg.cli.options.common import JsonOption, parse_options
from rapidseg.cli.tables.export import print_import


def register(parent: typer.Typer) -> None:
    """Adds `import`."""
    parent.command(
        "import",
        epilog=examples(
            "rapidseg import fast-scnn-cityscapes -o fast-scnn.safetensors",
            "rapidseg import model.pth -o model.safetensors --labels cityscapes",
        ),
    )(import_checkpoint)


def import_checkpoint(
    checkpoint: model_files.CheckpointArgument,
    output: model_files.SafetensorsFileOption = None,
    labels: model_files.LabelsOption = None,
    sha256: model_files.Sha256Option = None,
    ema: model_files.EmaOption = None,
    options: model_files.NetworkOptions = None,
    as_json: JsonOption = False,
) -> None:
    """Read a published checkpoint, recognize its source by its tensor names, and write it as safetensors.

    A URL is downloaded once and kept; interrupted downloads are resumed.
    """
    from rapidseg.workflows.import_checkpoint import import_checkpoint as run

    with ProgressDisplay() as progress:
        report = run(
            checkpoint,
            output,
            labels=labels,
            sha256=sha256,
            ema=ema,
            options=parse_options(options or ()),
            progress=progress,
        )
    show_report(report, as_json, print_import)

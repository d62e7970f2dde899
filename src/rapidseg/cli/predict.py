"""`rapidseg predict`: images to class maps and pictures."""

from __future__ import annotations

from pathlib import Path

import typer

from rapidseg.cli.console import ProgressDisplay, show_report
from rapidseg.cli.help import examples
from rapidseg.cli.options import common, prediction
from rapidseg.cli.tables.predict import print_summary


def register(app: typer.Typer) -> None:
    """Adds `predict`."""
    app.command(
        epilog=examples(
            "rapidseg predict photo.jpg -o out", "rapidseg predict photos/ -m best.safetensors --save confidence"
        )
    )(predict)


def predict(
    paths: prediction.ImagesArgument = None,
    model: common.ModelOption = None,
    output: prediction.OutputFolderOption = Path("predictions"),
    save: prediction.SaveOption = None,
    input_size: common.InputSizeOption = None,
    engine: common.EngineOption = "auto",
    precision: common.PrecisionOption = "auto",
    device: common.DeviceOption = "auto",
    offline: common.OfflineOption = False,
    as_json: common.JsonOption = False,
) -> None:
    """Segment images: write a class map (PNG of class ids) and an overlay with a legend for each.

    Images that cannot be read are skipped and reported; the exit status is then 1.
    """
    from rapidseg.workflows.predict import predict as run

    with ProgressDisplay() as display:
        report = run(
            paths or None,
            model=model,
            output=output,
            save=prediction.kinds(save),
            input_size=input_size,
            engine=engine,
            precision=precision,
            device=device,
            download=not offline,
            progress=display,
        )
    show_report(report, as_json, print_summary)
    if report.failed:
        raise typer.Exit(1)

"""`rapidseg tune`: the fastest or most accurate configuration for a target, saved as a file."""

from __future__ import annotations

import typer

from rapidseg.cli.console import ProgressDisplay, print_json
from rapidseg.cli.options import common, speed


def register(app: typer.Typer) -> None:
    """Adds `tune`."""
    app.command(epilog=speed.TUNE_EXAMPLES)(tune)


def tune(
    models: speed.TuneModelsArgument = None,
    min_fps: speed.MinFpsOption = None,
    min_miou: speed.MinMiouOption = None,
    engines: common.EnginesOption = None,
    precisions: common.PrecisionsOption = None,
    device: common.DeviceOption = "auto",
    offline: common.OfflineOption = False,
    input_sizes: speed.InputSizesOption = None,
    image: speed.TuneImageOption = None,
    image_size: speed.TuneImageSizeOption = None,
    rounds: speed.RoundsOption = 3,
    seconds: speed.SecondsOption = 0.5,
    data: common.DataOption = None,
    root: common.RootOption = None,
    split: common.SplitOption = "val",
    class_mapping: common.ClassMappingOption = None,
    output: speed.TunedFileOption = None,
    as_json: common.JsonOption = False,
) -> None:
    """Find the fastest or most accurate configuration for a target FPS or mIoU and save it for rapidseg.load."""
    from rapidseg.cli.tables.tune import show_tuning
    from rapidseg.workflows.tune import tune as run

    # fmt: off
    with ProgressDisplay() as progress:
        report = run(
            models, min_fps=min_fps, min_miou=min_miou, data=data, root=root, split=split, class_mapping=class_mapping,
            engines=engines, precisions=precisions, input_sizes=input_sizes, image=image, image_size=image_size,
            device=device, rounds=rounds, seconds=seconds, output=output, download=not offline, progress=progress,
        )
    # fmt: on
    if as_json:
        print_json(report.to_dict())
    show_tuning(report, table=not as_json)
    if not report.met:
        raise typer.Exit(1)

"""`rapidseg benchmark`: how fast models are on this machine, stage by stage."""

from __future__ import annotations

import typer

from rapidseg.cli.console import ProgressDisplay, print_json
from rapidseg.cli.options import common, speed


def register(app: typer.Typer) -> None:
    """Adds `benchmark`."""
    app.command(epilog=speed.BENCHMARK_EXAMPLES)(benchmark)


def benchmark(
    models: speed.BenchmarkModelsArgument = None,
    engines: common.EnginesOption = None,
    precisions: common.PrecisionsOption = None,
    device: common.DeviceOption = "auto",
    offline: common.OfflineOption = False,
    image: speed.ImageOption = None,
    image_size: speed.ImageSizesOption = "1024x2048,512x1024",
    batch: speed.BatchOption = 1,
    rounds: speed.RoundsOption = 5,
    seconds: speed.SecondsOption = 0.5,
    baseline: speed.BaselineOption = None,
    checkpoint: speed.CheckpointOption = None,
    data: common.DataOption = None,
    root: common.RootOption = None,
    split: common.SplitOption = "val",
    class_mapping: common.ClassMappingOption = None,
    output: speed.ReportFolderOption = None,
    as_json: common.JsonOption = False,
) -> None:
    """Per-stage timings for every engine and precision, interleaved and process-isolated; optional paired comparison
    with eager PyTorch.
    """
    from rapidseg.cli.tables.benchmark import show_benchmark
    from rapidseg.workflows.benchmark import benchmark as run

    # fmt: off
    with ProgressDisplay() as progress:
        report = run(
            models, engines=engines, precisions=precisions, image_sizes=image_size, device=device, batch=batch,
            image=image, rounds=rounds, seconds=seconds, data=data, root=root, split=split, class_mapping=class_mapping,
            baseline=baseline, checkpoint=checkpoint, output=output, download=not offline, progress=progress,
        )
    # fmt: on
    if as_json:
        print_json(report.to_dict())
    show_benchmark(report, tables=not as_json, with_skipped=precisions is not None)
    if not report.complete:
        raise typer.Exit(1)

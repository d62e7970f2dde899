"""`rapidseg benchmark`: how fast models are here, stage by stage."""

from __future__ import annotations

import json
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from rapidseg.cli.console import console, errors, print_json
from rapidseg.cli.help import examples
from rapidseg.cli.options.common import (
    ClassMappingOption,
    DataOption,
    DeviceOption,
    EnginesOption,
    JsonOption,
    PrecisionsOption,
    RootOption,
    SplitOption,
)
from rapidseg.core.sizes import parse_size

if TYPE_CHECKING:
    from rapidseg.benchmarking.benchmark import Plan
    from rapidseg.benchmarking.report import BenchmarkReport

_FILE = "benchmark.json"


def register(app: typer.Typer) -> None:
    """Adds `benchmark`."""
    app.command(epilog=examples("rapidseg benchmark", "rapidseg benchmark mine.onnx --sizes 512x1024 --json"))(
        benchmark
    )


def benchmark(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MODEL]...",
            help="Model files (.onnx), built-in models, or with --against one checkpoint.",
            show_default="the built-in Fast-SCNN",
        ),
    ] = None,
    engines: EnginesOption = None,
    precisions: PrecisionsOption = None,
    sizes: Annotated[str, typer.Option(help="Sizes as HEIGHTxWIDTH, with commas between them.")] = "1024x2048,512x1024",
    device: DeviceOption = "auto",
    batch: Annotated[int, typer.Option(min=1, help="Images that go through the network at once.")] = 1,
    image: Annotated[
        Path | None,
        typer.Option(help="Image to segment; it is resized to each size.", show_default="the built-in sample"),
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="How often each configuration has its turn.")] = 5,
    seconds: Annotated[float, typer.Option(min=0, help="How long about a turn measures each path.")] = 0.5,
    data: DataOption = None,
    root: RootOption = None,
    split: SplitOption = "val",
    mapping: ClassMappingOption = None,
    against: Annotated[
        str | None,
        typer.Option(help="eager: run plain PyTorch with the same weights in turn with ours.", show_default=False),
    ] = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(help="With --against: the checkpoint that the models were made of.", show_default=False),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for JSON and plot.", show_default=False)
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure decoding, preparing, network, class map, drawing and writing, and what they make together.

    Every configuration runs in a process of its own, and all take turns, so that they can be compared on a machine that
    others use as well.
    """
    from rapidseg.benchmarking.accuracy import LabeledData
    from rapidseg.benchmarking.benchmark import Plan, run_benchmark
    from rapidseg.benchmarking.configuration import parse_names
    from rapidseg.cli.tables.benchmark import phases
    from rapidseg.core.files import write_text
    from rapidseg.runtime.engines import ENGINES, PRECISIONS
    from rapidseg.runtime.model_file import BUILT_IN_MODELS, SAMPLE_IMAGE

    names = tuple(models or BUILT_IN_MODELS[:1])
    with ExitStack() as stack:
        if against is not None:
            names, checkpoint = _with_checkpoint(names, against, checkpoint, stack)
        elif checkpoint is not None:
            raise typer.BadParameter("is for --against eager", param_hint="--checkpoint")
        plan = Plan(
            models=names,
            engines=installed_engines(device) if engines is None else parse_names(engines, "engine", ENGINES),
            precisions=PRECISIONS if precisions is None else parse_names(precisions, "precision", PRECISIONS),
            sizes_hw=tuple(dict.fromkeys(parse_size(size) for size in sizes.split(","))),
            image=image or SAMPLE_IMAGE,
            device=device,
            batch=batch,
            rounds=rounds,
            seconds=seconds,
            data=None if data is None else LabeledData(data, None if root is None else str(root), split, mapping),
            checkpoint=checkpoint,
        )
        with phases() as progress:
            report = run_benchmark(plan, progress=progress)
    if output is not None:
        write_text(output / _FILE, json.dumps(report.to_dict(), indent=2, allow_nan=False) + "\n")
    if as_json:
        print_json(report.to_dict())
    else:
        _print(report, with_left_out=precisions is not None)
    complete = output is None or _plot(report, output)
    if not complete or _unmeasured(plan, report, engines is not None, precisions is not None):
        raise typer.Exit(1)


def installed_engines(device: str) -> tuple[str, ...]:
    """Returns the engines whose packages are there; PyTorch only for a GPU, since it is for comparison on CPUs."""
    from importlib.util import find_spec

    from rapidseg.runtime.engines import ENGINES
    from rapidseg.system.gpu import find_gpu

    gpu = find_gpu() if device == "auto" else None
    left_out = () if device.startswith("cuda") or (gpu is not None and gpu.obstacle is None) else ("torch",)
    return tuple(name for name in ENGINES if find_spec(name) is not None and name not in left_out)


def _with_checkpoint(
    names: tuple[str, ...], against: str, checkpoint: Path | None, stack: ExitStack
) -> tuple[tuple[str, ...], Path]:
    """Returns the models to measure and the checkpoint; exports it for this run where only it was given."""
    from rapidseg.core.errors import InputError

    if against != "eager":
        raise InputError(f"--against {against!r} is unknown; allowed is eager, plain PyTorch")
    if checkpoint is not None:
        return names, checkpoint
    if len(names) != 1 or names[0].endswith(".onnx") or not Path(names[0]).is_file():
        raise InputError(
            "--against eager needs the checkpoint of the same weights: give it in the model's place (it is exported "
            "for the time of the run), or name it with --checkpoint"
        )
    from rapidseg.exporting import export_onnx
    from rapidseg.importing import load_checkpoint

    source = Path(names[0])
    model = load_checkpoint(source)
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="rapidseg-export-"))
    errors.print(f"exporting {escape(source.name)} for this run", highlight=False, soft_wrap=True)
    report = export_onnx(model, model.spec, Path(folder) / f"{source.stem}.onnx", check_sizes=[(97, 161)])
    return (str(report.path),), source


def _print(report: BenchmarkReport, *, with_left_out: bool) -> None:
    from rapidseg.cli.tables.benchmark import closing_lines, print_table, rate_table, stage_table

    print_table(stage_table(report))
    print_table(rate_table(report))
    for line in closing_lines(report, with_left_out=with_left_out):
        console.print(escape(line), highlight=False, soft_wrap=True)


def _plot(report: BenchmarkReport, folder: Path) -> bool:
    """Draws what can be drawn, and says what cannot; returns False where only Matplotlib was missing."""
    from rapidseg.benchmarking.plot import plot_speed_accuracy
    from rapidseg.core.extras import missing_package

    unknown = [one for one in report.measurements if one.accuracy is None]
    try:
        paths = plot_speed_accuracy(report.measurements, folder)
    except ModuleNotFoundError as error:
        problem = missing_package(error, "report") or error
        errors.print(f"no plot: {escape(str(problem))}", highlight=False, soft_wrap=True)
        return False
    if not paths:
        errors.print("no plot: no mIoU is known; measure it with --data", highlight=False, soft_wrap=True)
    elif unknown:
        errors.print(
            f"{len(unknown)} of {len(report.measurements)} configurations are not in the plot, since their mIoU is not "
            "known; measure it with --data",
            highlight=False,
            soft_wrap=True,
        )
    for path in (folder / _FILE, *paths):
        errors.print(f"wrote {escape(str(path))}", highlight=False, soft_wrap=True)
    return True


def _unmeasured(plan: Plan, report: BenchmarkReport, engines_named: bool, precisions_named: bool) -> bool:
    """Tells whether an engine or a precision that was asked for by name could not be measured at all."""
    engines = {measurement.engine for measurement in report.measurements}
    precisions = {measurement.precision for measurement in report.measurements}
    return (engines_named and not engines.issuperset(plan.engines)) or (
        precisions_named and not precisions.issuperset(plan.precisions)
    )

"""`rapidseg tune`: the engine, precision and input size that fit a wish on this device."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from rapidseg.cli.console import errors, print_json
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
    from rapidseg.benchmarking.accuracy import LabeledData
    from rapidseg.benchmarking.selection import Tuning

_SHARES = (1, 3 / 4, 1 / 2, 3 / 8, 1 / 4)  # of the images' shorter side, tried as input sizes


def register(app: typer.Typer) -> None:
    """Adds `tune`."""
    app.command(
        "tune",
        epilog=examples("rapidseg tune --min-fps 30", "rapidseg tune mine.onnx --min-miou 0.6 --data my-streets.yaml"),
    )(tune_model)


def tune_model(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MODEL]...",
            help="Model file (.onnx) or built-in model; more than one, such as its INT8 twin, are tried together.",
            show_default="the built-in Fast-SCNN",
        ),
    ] = None,
    min_fps: Annotated[
        float | None,
        typer.Option(min=0, help="Images a second that are wanted, memory to memory.", show_default=False),
    ] = None,
    min_miou: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="mIoU that is wanted, from 0 to 1; needs --data.", show_default=False),
    ] = None,
    data: DataOption = None,
    root: RootOption = None,
    split: SplitOption = "val",
    mapping: ClassMappingOption = None,
    engines: EnginesOption = None,
    precisions: PrecisionsOption = None,
    input_sizes: Annotated[
        str | None,
        typer.Option(
            "--sizes",
            help="Shorter sides at which the network is tried, with commas between them.",
            show_default="1, 3/4, 1/2, 3/8 and 1/4 of the images' own",
        ),
    ] = None,
    image: Annotated[
        Path | None,
        typer.Option(help="Image to segment.", show_default="the data's first, else the built-in sample"),
    ] = None,
    image_size: Annotated[
        str | None,
        typer.Option(help="Size of the images that will come, as HEIGHTxWIDTH.", show_default="the image's own"),
    ] = None,
    device: DeviceOption = "auto",
    rounds: Annotated[int, typer.Option(min=1, help="How often each configuration has its turn.")] = 3,
    seconds: Annotated[float, typer.Option(min=0, help="How long about a turn is.")] = 0.5,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="File to write, ending in .yaml.", show_default="MODEL.tuned.yaml"),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Trial engines, precisions and input sizes, and write what fits the wish to a file that `load` takes.

    With --min-fps the most accurate that is fast enough is taken, with --min-miou alone the fastest that is accurate
    enough. Exit status 1, and no file, when nothing fits.
    """
    from rapidseg.benchmarking.accuracy import LabeledData
    from rapidseg.benchmarking.configuration import parse_names
    from rapidseg.benchmarking.selection import Target
    from rapidseg.benchmarking.tuning import combinations, tune
    from rapidseg.cli.benchmark import installed_engines
    from rapidseg.cli.tables.benchmark import phases
    from rapidseg.core.errors import InputError
    from rapidseg.imaging import read_image
    from rapidseg.runtime.engines import ENGINES, PRECISIONS
    from rapidseg.runtime.model_file import BUILT_IN_MODELS

    names = tuple(models or BUILT_IN_MODELS[:1])
    file = output or Path(f"{Path(names[0]).stem}.tuned.yaml")
    if file.suffix not in (".yaml", ".yml"):
        raise InputError(f"{file}: the name of a tuned file ends in .yaml; call it {file.with_suffix('.yaml').name}")
    labeled = None if data is None else LabeledData(data, None if root is None else str(root), split, mapping)
    picture = image or _first_image(labeled)
    size_hw = read_image(picture).shape[:2] if image_size is None else parse_size(image_size)
    configurations = combinations(
        names,
        installed_engines(device) if engines is None else parse_names(engines, "engine", ENGINES),
        PRECISIONS if precisions is None else parse_names(precisions, "precision", PRECISIONS),
        _input_sides(input_sizes, names, size_hw),
        (size_hw[0], size_hw[1]),
        device,
    )
    with phases() as progress:
        tuning = tune(
            configurations,
            picture,
            Target(min_fps, min_miou),
            labeled,
            rounds=rounds,
            seconds=seconds,
            progress=progress,
        )
    _report(tuning, file, as_json)


def _first_image(labeled: LabeledData | None) -> Path:
    from rapidseg.data import open_layout
    from rapidseg.data.opening import split_names
    from rapidseg.runtime.model_file import SAMPLE_IMAGE

    if labeled is None:
        return SAMPLE_IMAGE
    layout = open_layout(labeled.data, labeled.root)
    return layout.files(split_names(layout, labeled.split)[0]).pairs[0].image


def _input_sides(text: str | None, models: tuple[str, ...], size_hw: tuple[int, ...]) -> tuple[int | None, ...]:
    """Returns the shorter sides to try; None is the images' own size."""
    from rapidseg.benchmarking.configuration import parse_sides
    from rapidseg.imaging import MINIMUM_SIDE
    from rapidseg.runtime.model_file import find_model, read_spec

    if text is not None:
        return parse_sides(text)
    stated = [read_spec(find_model(model)).input_short_side for model in models]
    shorter = min(size_hw)
    sides = [max(MINIMUM_SIDE, round(share * shorter)) for share in _SHARES]
    return tuple(dict.fromkeys([*sides, *(side for side in stated if side is not None)]))


def _report(tuning: Tuning, file: Path, as_json: bool) -> None:
    """Writes the choice where the wish is granted, and shows everything.

    Raises:
        typer.Exit: with status 1, the wish is not granted.
    """
    from rapidseg.benchmarking.tuning import as_tuned
    from rapidseg.cli.tables.benchmark import print_table, tries_table
    from rapidseg.runtime.tuned_file import write_tuned

    if tuning.granted:
        write_tuned(file, as_tuned(tuning, file))
    if as_json:
        print_json({**tuning.to_dict(), "file": str(file) if tuning.granted else None})
    else:
        print_table(tries_table(tuning))
    best = tuning.best
    mean_iou = "" if best.mean_iou is None else f", mIoU {best.mean_iou:.4f}"
    height, width = best.input_size_hw
    found = (
        f"{best.configuration.name} in {best.engine}, {best.precision}, at {height}x{width}: "
        f"{best.frames_per_s:.1f} frames/s{mean_iou}; {tuning.reason}"
    )
    errors.print(escape(found), highlight=False, soft_wrap=True)
    if not tuning.granted:
        errors.print("nothing was written", highlight=False)
        raise typer.Exit(1)
    errors.print(f"wrote {escape(str(file))}", highlight=False, soft_wrap=True)

"""`rapidseg export`: a checkpoint to one file that runs anywhere, in float32 or in INT8."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rapidseg.cli.console import print_json, progress
from rapidseg.cli.help import examples
from rapidseg.cli.options.common import InputSizeOption, JsonOption, RootOption
from rapidseg.cli.tables.export import print_export, print_quantization
from rapidseg.core.sizes import parse_input_size

if TYPE_CHECKING:
    from rapidseg.data import Dataset
    from rapidseg.exporting import ExportReport, QuantizationReport
    from rapidseg.exporting.precisions import WorkingSize

_PRECISIONS = ("float32", "int8")


def register(app: typer.Typer) -> None:
    """Adds `export`."""
    app.command(
        epilog=examples(
            "rapidseg export best.safetensors", "rapidseg export best.onnx --precision int8 --data my-streets.yaml"
        )
    )(export)


def export(
    checkpoint: Annotated[
        Path,
        typer.Argument(
            help="Checkpoint: .safetensors of rapidseg, or a published one (.pth); for INT8 also an exported .onnx.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="File to write, ending in .onnx.", show_default="beside the checkpoint"),
    ] = None,
    precision: Annotated[str, typer.Option(help="float32, or int8, which needs --data.")] = "float32",
    data: Annotated[
        str | None,
        typer.Option(
            help="Data to calibrate INT8 on and to measure what it costs; for float32, to measure bf16 on: "
            "camvid, cityscapes, or a YAML file.",
            show_default="drawn scenes, for float32",
        ),
    ] = None,
    root: RootOption = None,
    split: Annotated[str, typer.Option(help="Split to calibrate INT8 on.")] = "train",
    val_split: Annotated[str, typer.Option(help="Split to measure on.")] = "val",
    calibration_images: Annotated[
        int, typer.Option(help="How many images to calibrate INT8 on, spread over the split.")
    ] = 100,
    max_drop: Annotated[float, typer.Option(help="Points of mIoU that INT8 may cost.")] = 0.5,
    size: InputSizeOption = None,
    json: JsonOption = False,
) -> None:
    """Write a checkpoint as one ONNX file, and prove that it computes the same.

    The file is run in ONNX Runtime and OpenVINO at several sizes and compared with the checkpoint in PyTorch. Only when
    all agree is it written; an older file of that name stays otherwise.

    With `--precision int8` the network is calibrated on images, and mIoU is measured before and after. The layers that
    cost most stay in floating point until no more than `--max-drop` points are lost; where that is not reached, nothing
    is written.
    """
    from rapidseg.core.errors import InputError, nearest_hint
    from rapidseg.data import open_dataset
    from rapidseg.exporting import quantize_onnx

    if precision not in _PRECISIONS:
        raise InputError(
            f"--precision {precision!r} is unknown; allowed are {', '.join(_PRECISIONS)}"
            f"{nearest_hint(precision, _PRECISIONS)}"
        )
    input_size = None if size is None else parse_input_size(size)
    if precision == "float32":
        if checkpoint.suffix == ".onnx":
            raise InputError(f"{checkpoint} is an exported file already; give the checkpoint that it was made from")
        measured_on = None if data is None else open_dataset(data, root, val_split)
        exported = _export(checkpoint, output or checkpoint.with_suffix(".onnx"), measured_on, input_size)
        print_json(exported.to_dict()) if json else print_export(exported)
    else:
        if data is None:
            raise InputError(
                "INT8 is calibrated on images, and its mIoU is measured with their labels: give --data, such as "
                "--data camvid --root FOLDER, or a YAML file that describes your own (docs/data.md)"
            )
        quantize = functools.partial(
            quantize_onnx,
            calibration=open_dataset(data, root, split),
            validation=open_dataset(data, root, val_split),
            calibration_images=calibration_images,
            max_drop=max_drop,
            input_size=input_size,
        )
        quantized = _quantize(checkpoint, output or checkpoint.with_name(f"{checkpoint.stem}-int8.onnx"), quantize)
        print_json(quantized.to_dict()) if json else print_quantization(quantized)


def _export(checkpoint: Path, output: Path, dataset: Dataset | None, input_size: WorkingSize) -> ExportReport:
    """Exports a checkpoint in float32; without a data set bf16 is measured on drawn scenes."""
    from rapidseg.exporting import export_onnx
    from rapidseg.exporting.precisions import COMPARED_IMAGES, evenly_spaced, prepare
    from rapidseg.importing import load_checkpoint

    model = load_checkpoint(checkpoint)
    images = None
    if dataset is not None:
        samples = evenly_spaced(dataset, COMPARED_IMAGES)
        images = [prepare(sample.image, model.spec, input_size) for sample in samples]
    with progress() as display:
        task = display.add_task("tracing", total=None)
        return export_onnx(
            model,
            model.spec,
            output,
            images=images,
            progress=lambda done, total: display.update(task, description="comparing", completed=done, total=total),
        )


def _quantize(checkpoint: Path, output: Path, quantize: Callable[..., QuantizationReport]) -> QuantizationReport:
    """Exports a checkpoint that is no model file yet, and makes an INT8 file of it."""
    from rapidseg.exporting import export_onnx
    from rapidseg.importing import load_checkpoint

    with progress() as display, tempfile.TemporaryDirectory(prefix="rapidseg-") as folder:
        task = display.add_task("tracing", total=None)

        def show(doing: str, done: int, total: int) -> None:
            if display.tasks[0].description != doing:  # or rate and ETA would be those of what went before
                display.reset(task, description=doing, total=total)
            display.update(task, completed=done)

        source = checkpoint
        if checkpoint.suffix != ".onnx":
            source = Path(folder) / "float32.onnx"
            model = load_checkpoint(checkpoint)
            export_onnx(model, model.spec, source, images=(), progress=functools.partial(show, "comparing"))
        return quantize(source, output, progress=show)

"""`rapidseg export`: writes a checkpoint as one file that runs anywhere, in float32 or in INT8."""

from __future__ import annotations

import typer

from rapidseg.cli.console import ProgressDisplay, print_json
from rapidseg.cli.help import examples
from rapidseg.cli.options import model_files
from rapidseg.cli.options.common import InputSizeOption, JsonOption, RootOption
from rapidseg.cli.tables.export import print_report


def register(app: typer.Typer) -> None:
    """Adds `export`."""
    app.command(
        epilog=examples(
            "rapidseg export best.safetensors", "rapidseg export best.onnx --precision int8 --data my-streets.yaml"
        )
    )(export)


def export(
    model: model_files.ExportedModelArgument,
    output: model_files.OnnxFileOption = None,
    precision: model_files.ExportPrecisionOption = "float32",
    data: model_files.CalibrationDataOption = None,
    root: RootOption = None,
    split: model_files.CalibrationSplitOption = "train",
    val_split: model_files.ValSplitOption = "val",
    calibration_images: model_files.CalibrationImagesOption = 100,
    max_drop: model_files.MaxDropOption = 0.5,
    input_size: InputSizeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a checkpoint as one ONNX file, and verify that its outputs match PyTorch.

    The file is run in OpenVINO, ONNX Runtime and PyTorch, as for prediction, and compared with the checkpoint. Only if
    all match is it written; otherwise an older file of that name stays.

    With `--precision int8` the network is calibrated on images, and mIoU is measured before and after. The layers that
    cost most accuracy stay in floating point. The file is rejected if accuracy drops by more than `--max-drop`.
    """
    from rapidseg.workflows.export import export as run

    with ProgressDisplay() as progress:
        report = run(
            model,
            output,
            precision=precision,
            data=data,
            root=root,
            split=split,
            val_split=val_split,
            calibration_images=calibration_images,
            max_drop=max_drop,
            input_size=input_size,
            progress=progress,
        )
    print_json(report.to_dict()) if as_json else print_report(report)

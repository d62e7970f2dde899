"""`rapidseg export`: writes a checkpoint as one file that runs anywhere, in float32 or in INT8."""

from __future__ import annotations

import typer

from rapidseg.cli.console import ProgressDisplay, show_report
from rapidseg.cli.help import examples
from rapidseg.cli.options import model_files
from rapidseg.cli.options.common import InputSizeOption, JsonOption, RootOption
from rapidseg.cli.tables.export import print_report


def register(app: typer.Typer) -> None:
    """Adds `export`."""
    words = ("safetensors", "onnx --static 512x1024", "onnx --precision int8 --data my-streets.yaml")
    app.command(epilog=examples(*(f"rapidseg export best.{rest}" for rest in words)))(export)


def export(
    model: model_files.ExportedModelArgument,
    output: model_files.OnnxFileOption = None,
    precision: model_files.ExportPrecisionOption = "float32",
    static: model_files.StaticOption = None,
    output_kind: model_files.OutputKindOption = None,
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

    OpenVINO, ONNX Runtime and PyTorch run the file as they do for prediction. It is written only if all outputs match.
    `--static` and `--output-kind` make files for other programs, such as OpenCV, and verify them there.

    With `--precision int8`, export calibrates on images of `--data` and measures mIoU before and after. The layers that
    cost the most accuracy stay in floating point. No file is written if mIoU drops by more than `--max-drop`.
    """
    from rapidseg.workflows.export import export as run

    with ProgressDisplay() as progress:
        report = run(
            model,
            **model_files.file_and_kind(output, output_kind),
            precision=precision,
            static=static,
            data=data,
            root=root,
            split=split,
            val_split=val_split,
            calibration_images=calibration_images,
            max_drop=max_drop,
            input_size=input_size,
            progress=progress,
        )
    show_report(report, as_json, print_report)

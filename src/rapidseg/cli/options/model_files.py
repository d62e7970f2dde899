"""Options of the commands that write or upload model files: `export`, `import` and `models push`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, TypedDict, cast, get_args

import typer

from rapidseg.cli import completion
from rapidseg.cli.help import DATA, METHOD, MODEL, OUTPUT
from rapidseg.core.choices import ExportPrecision, OutputKind

_WITH_THE_MODEL = "beside the model, under its name"

# Text rather than a path: only text shows whether it ends in a slash, and so means a folder.
OnnxFileOption = Annotated[
    list[str] | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="File to write, ending in .onnx.",
        show_default=_WITH_THE_MODEL,
        rich_help_panel=OUTPUT,
    ),
]
OutputKindOption = Annotated[
    OutputKind | None,
    typer.Option(
        "--output-kind",
        help="What the file returns: logits, or class ids as uint8 at the size of the image.",
        show_default="logits",
        rich_help_panel=METHOD,
    ),
]
StaticOption = Annotated[
    str | None,
    typer.Option(
        "--static",
        metavar="HxW",
        help="Fix the input to one image of this size, for programs such as OpenCV.",
        show_default="any size and batch",
        rich_help_panel=METHOD,
    ),
]
SafetensorsFileOption = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="File to write, ending in .safetensors.",
        show_default=_WITH_THE_MODEL,
        rich_help_panel=OUTPUT,
    ),
]

# What is exported, and how.
ExportedModelArgument = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="Checkpoint (.safetensors, .pth), its URL or the name of a published model; for INT8, --static and "
        "--output-kind also an exported .onnx.",
        show_default=False,
        autocompletion=completion.complete_model,
    ),
]
ExportPrecisionOption = Annotated[
    ExportPrecision,
    typer.Option("--precision", help="Precision of the file; int8 needs --data.", rich_help_panel=METHOD),
]
CalibrationDataOption = Annotated[
    str | None,
    typer.Option(
        "--data",
        help="Data set, a name or a YAML file. For INT8: to calibrate on, and to measure mIoU on. For float32: to "
        "measure how far bf16 and fp16 agree.",
        show_default="drawn scenes, for float32",
        autocompletion=completion.complete_dataset,
        rich_help_panel=DATA,
    ),
]
CalibrationSplitOption = Annotated[
    str,
    typer.Option(
        "--split",
        help="Split to calibrate INT8 on.",
        autocompletion=completion.complete_split,
        rich_help_panel=DATA,
    ),
]
ValSplitOption = Annotated[
    str,
    typer.Option(
        "--val-split",
        help="Split of --data to measure on.",
        autocompletion=completion.complete_split,
        rich_help_panel=DATA,
    ),
]
CalibrationImagesOption = Annotated[
    int,
    typer.Option(
        "--calibration-images",
        min=1,
        help="Number of images to calibrate INT8 on, evenly spaced over the split.",
        rich_help_panel=METHOD,
    ),
]
MaxDropOption = Annotated[
    float,
    typer.Option(
        "--max-drop", min=0, max=100, help="Percentage points of mIoU that INT8 may lose.", rich_help_panel=METHOD
    ),
]

# What is imported, and how it is read.
CheckpointArgument = Annotated[
    str,
    typer.Argument(
        metavar="CHECKPOINT",
        help="Published checkpoint, its URL, or the name of a published model.",
        show_default=False,
        autocompletion=completion.complete_checkpoint,
    ),
]
LabelsOption = Annotated[
    str | None,
    typer.Option(
        "--labels",
        help="Classes: cityscapes, camvid, a YAML file that describes the data, or comma-separated names.",
        show_default="those that the file names",
        autocompletion=completion.complete_labels,
        rich_help_panel=MODEL,
    ),
]
Sha256Option = Annotated[
    str | None,
    typer.Option(
        "--sha256",
        metavar="DIGITS",
        help="First 8 to 64 hex digits of the file's SHA-256.",
        show_default="for a URL, the 8 digits at the end of its file name",
        rich_help_panel=MODEL,
    ),
]
EmaOption = Annotated[
    bool | None,
    typer.Option(
        "--ema/--no-ema",
        help="If the file has two copies of the weights: use the moving average, or the other copy.",
        show_default="the moving average if there is one",
        rich_help_panel=MODEL,
    ),
]
NetworkOptions = Annotated[
    list[str] | None,
    typer.Option(
        "--option",
        metavar="KEY=VALUE",
        help="Option of the network that its tensors do not determine, such as output_stride=32; may be repeated.",
        show_default=False,
        rich_help_panel=MODEL,
    ),
]

# What is uploaded, and where to.
PushedModelArgument = Annotated[
    str,
    typer.Argument(
        metavar="FILE",
        help="Checkpoint of RapidSeg (.safetensors), or model file (.onnx).",
        show_default=False,
        autocompletion=completion.complete_model,
    ),
]
RepositoryArgument = Annotated[
    str, typer.Argument(metavar="OWNER/NAME", help="Repository on the Hugging Face Hub.", show_default=False)
]
PrivateOption = Annotated[
    bool,
    typer.Option("--private", help="Only you may see the repository.", rich_help_panel=OUTPUT),
]
CommitMessageOption = Annotated[
    str | None,
    typer.Option(
        "--message", metavar="TEXT", help="Message of the commit.", show_default="Upload", rich_help_panel=OUTPUT
    ),
]


class FileAndKind(TypedDict):
    """What `export` writes: `output`, the file to write or None, and `output_kind`, what the file returns."""

    output: str | None
    output_kind: OutputKind


def file_and_kind(outputs: Sequence[str] | None, kind: OutputKind | None) -> FileAndKind:
    """Returns what to write; `--output class-map` means `--output-kind class-map`.

    Args:
        outputs: values of `--output`; of several files the last counts, as for every option.
        kind: value of `--output-kind`.
    """
    kinds = get_args(OutputKind)
    files = [value for value in outputs or () if value not in kinds]
    named = [value for value in outputs or () if value in kinds]
    return {
        "output": files[-1] if files else None,
        "output_kind": kind or cast("OutputKind", named[-1] if named else "logits"),
    }

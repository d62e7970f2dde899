"""Options of the commands that measure speed: `benchmark` and `tune`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rapidseg.cli.completion import complete_model
from rapidseg.cli.help import OUTPUT, examples
from rapidseg.core.choices import Baseline

_MEASUREMENT = "Measurement"
_TARGET = "Target"

BENCHMARK_EXAMPLES = examples(
    "rapidseg benchmark best.onnx --image-size 512x1024",
    "rapidseg benchmark best.safetensors --baseline eager -o speed",
)
TUNE_EXAMPLES = examples(
    "rapidseg tune best.onnx --min-fps 30 --image-size 1024x2048",
    "rapidseg tune best.onnx best-int8.onnx --min-miou 0.6 --data my-streets.yaml",
)

BenchmarkModelsArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="MODEL",
        help="Model files (.onnx), checkpoints, or names of built-in and published models.",
        show_default="fast-scnn-camvid",
        autocompletion=complete_model,
    ),
]
TuneModelsArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="MODEL",
        help="Model files (.onnx), checkpoints, or names of built-in and published models. Pass several, such as a "
        "model and its INT8 version, to choose between them.",
        show_default="fast-scnn-camvid",
        autocompletion=complete_model,
    ),
]

# What is measured, and how.
ImageSizesOption = Annotated[
    str,
    typer.Option(
        "--image-size",
        metavar="HxW[,HxW]...",
        help="Comma-separated sizes of the images, HEIGHTxWIDTH; the network sees them at these sizes.",
        rich_help_panel=_MEASUREMENT,
    ),
]
BatchOption = Annotated[
    int,
    typer.Option("--batch", min=1, help="Images that go through the network at once.", rich_help_panel=_MEASUREMENT),
]
ImageOption = Annotated[
    Path | None,
    typer.Option(
        "--image",
        help="Image to segment, resized to each size.",
        show_default="the built-in sample",
        rich_help_panel=_MEASUREMENT,
    ),
]
RoundsOption = Annotated[
    int,
    typer.Option(
        "--rounds",
        min=1,
        help="Number of rounds; each measures every configuration once.",
        rich_help_panel=_MEASUREMENT,
    ),
]
SecondsOption = Annotated[
    float,
    typer.Option("--seconds", min=0, help="Approximate length of each measurement.", rich_help_panel=_MEASUREMENT),
]
BaselineOption = Annotated[
    Baseline | None,
    typer.Option(
        "--baseline",
        help="Also measure eager PyTorch with the same weights, in alternation.",
        show_default=False,
        rich_help_panel=_MEASUREMENT,
    ),
]
CheckpointOption = Annotated[
    Path | None,
    typer.Option(
        "--checkpoint",
        help="With --baseline: the checkpoint that the models were exported from.",
        show_default=False,
        rich_help_panel=_MEASUREMENT,
    ),
]

# The target of tuning, and what is tried.
MinFpsOption = Annotated[
    float | None,
    typer.Option(
        "--min-fps",
        min=0,
        help="Target for images per second, from memory to memory.",
        show_default=False,
        rich_help_panel=_TARGET,
    ),
]
MinMiouOption = Annotated[
    float | None,
    typer.Option(
        "--min-miou",
        min=0,
        max=1,
        help="Target for the mIoU, from 0 to 1; needs --data.",
        show_default=False,
        rich_help_panel=_TARGET,
    ),
]
InputSizesOption = Annotated[
    str | None,
    typer.Option(
        "--input-sizes",
        metavar="N|HxW[,N|HxW]...",
        help="Comma-separated sizes at which the network sees the images: N pixels on the shorter side, or "
        "HEIGHTxWIDTH with the aspect ratio of the images.",
        show_default="1, 3/4, 1/2, 3/8 and 1/4 of the images' size, and the models' own",
        rich_help_panel=_MEASUREMENT,
    ),
]
TuneImageOption = Annotated[
    Path | None,
    typer.Option(
        "--image",
        help="Image to segment.",
        show_default="the first image of --data, else the built-in sample",
        rich_help_panel=_MEASUREMENT,
    ),
]
TuneImageSizeOption = Annotated[
    str | None,
    typer.Option(
        "--image-size",
        metavar="HxW",
        help="Size of the images to tune for, HEIGHTxWIDTH.",
        show_default="the image's own",
        rich_help_panel=_MEASUREMENT,
    ),
]


ReportFolderOption = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        help="Folder for benchmark.json and the plot of speed against mIoU.",
        show_default=False,
        rich_help_panel=OUTPUT,
    ),
]
TunedFileOption = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        help="File to write, ending in .yaml.",
        show_default="MODEL.tuned.yaml",
        rich_help_panel=OUTPUT,
    ),
]

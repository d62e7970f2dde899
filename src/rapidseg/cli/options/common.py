"""Options and argument forms that several commands share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from rapidseg.cli import completion
from rapidseg.cli.help import DATA, MODEL, OUTPUT
from rapidseg.core.arguments import describe_value
from rapidseg.core.choices import ClassMappingName, EngineChoice, PrecisionChoice
from rapidseg.core.errors import InputError
from rapidseg.core.strict_yaml import explain_yaml, parse_yaml

_MODEL_HELP = (
    "Name of a built-in or published model, model file (.onnx), checkpoint (.safetensors, .pth) or tuned file (.yaml)."
)
_DATA_HELP = "camvid, cityscapes, cityscapes-coarse, synth-as-camvid, or a YAML file that describes the data set."

JsonOption = Annotated[
    bool,
    typer.Option("--json", help="Print one JSON document to standard output instead.", rich_help_panel=OUTPUT),
]
ReportFileOption = Annotated[
    Path | None,
    typer.Option("--output", "-o", help="File for the JSON document.", show_default=False, rich_help_panel=OUTPUT),
]

# The model, and what runs it.
ModelArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="MODEL",
        help=_MODEL_HELP,
        show_default="fast-scnn-camvid",
        autocompletion=completion.complete_model,
    ),
]
ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        help=_MODEL_HELP,
        show_default="fast-scnn-camvid",
        autocompletion=completion.complete_model,
        rich_help_panel=MODEL,
    ),
]
EngineOption = Annotated[EngineChoice, typer.Option("--engine", help="Inference engine.", rich_help_panel=MODEL)]
PrecisionOption = Annotated[
    PrecisionChoice,
    typer.Option(
        "--precision",
        help="dtype of the network; auto selects the fastest that keeps the class map.",
        rich_help_panel=MODEL,
    ),
]
DeviceOption = Annotated[
    str,
    typer.Option(
        "--device",
        help="auto, cpu, cuda, or another device that the engine supports.",
        autocompletion=completion.complete_device,
        rich_help_panel=MODEL,
    ),
]
OfflineOption = Annotated[
    bool,
    typer.Option("--offline", help="Do not download; use only what is on this machine.", rich_help_panel=MODEL),
]
EnginesOption = Annotated[
    str | None,
    typer.Option(
        "--engines",
        help="Comma-separated engines: openvino, onnxruntime, torch.",
        show_default="all that are installed",
        autocompletion=completion.complete_engines,
        rich_help_panel=MODEL,
    ),
]
PrecisionsOption = Annotated[
    str | None,
    typer.Option(
        "--precisions",
        help="Comma-separated precisions: float32, bf16, fp16, int8.",
        show_default="all that run",
        autocompletion=completion.complete_precisions,
        rich_help_panel=MODEL,
    ),
]
InputSizeOption = Annotated[
    str | None,
    typer.Option(
        "--input-size",
        metavar="N|HxW",
        help="Size at which the network sees the images: N pixels on the shorter side, or HEIGHTxWIDTH.",
        show_default="the model's own",
        rich_help_panel=MODEL,
    ),
]

# Labeled images.
DataOption = Annotated[
    str | None,
    typer.Option(
        "--data",
        help=f"Data set to measure mIoU on: {_DATA_HELP}",
        show_default=False,
        autocompletion=completion.complete_dataset,
        rich_help_panel=DATA,
    ),
]
RequiredDataOption = Annotated[
    str,
    typer.Option(
        "--data",
        help=f"Data set: {_DATA_HELP}",
        show_default=False,
        autocompletion=completion.complete_dataset,
        rich_help_panel=DATA,
    ),
]
DatasetArgument = Annotated[
    str,
    typer.Argument(metavar="DATASET", help=_DATA_HELP, show_default=False, autocompletion=completion.complete_dataset),
]
RootOption = Annotated[
    Path | None,
    typer.Option(
        "--root",
        help="Folder of the data set; not needed where a YAML file names it.",
        show_default=False,
        rich_help_panel=DATA,
    ),
]
SplitOption = Annotated[
    str,
    typer.Option(
        "--split",
        help="Split to score, such as val or test.",
        autocompletion=completion.complete_split,
        rich_help_panel=DATA,
    ),
]
ClassMappingOption = Annotated[
    ClassMappingName | None,
    typer.Option(
        "--class-mapping",
        help="How to count the model's classes as those of the data set.",
        show_default="by class names",
        rich_help_panel=DATA,
    ),
]


def parse_options(texts: Sequence[str]) -> dict[str, Any]:
    """Reads options of a network, `KEY=VALUE` with a value in YAML, such as `output_stride=32`.

    Raises:
        InputError: a text has another form.
    """
    options = {}
    for text in texts:
        key, separator, value = text.partition("=")
        try:
            options[key] = parse_yaml(value)
        except yaml.YAMLError as error:
            raise InputError(
                f"{describe_value(text)} is not KEY=VALUE with a value in YAML{explain_yaml(error)}; write an option "
                "as, for example, output_stride=32"
            ) from error
        if not separator or not key:
            raise InputError(
                f"{describe_value(text)} is not KEY=VALUE; write an option as, for example, output_stride=32"
            )
    return options

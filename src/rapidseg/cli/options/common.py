"""Options and argument forms that several commands share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
import yaml

from rapidseg.core.errors import InputError
from rapidseg.core.sizes import InputSize, parse_input_size
from rapidseg.core.strict_yaml import parse_yaml

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output instead.")]


ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        help="Built-in or published model, model file (.onnx), checkpoint (.safetensors, .pth) or tuned file (.yaml).",
        show_default="fast-scnn-camvid",
        rich_help_panel="Model and engine",
    ),
]
EngineOption = Annotated[
    Literal["auto", "openvino", "onnxruntime", "torch"],
    typer.Option("--engine", help="Inference engine; checkpoints run in torch.", rich_help_panel="Model and engine"),
]
PrecisionOption = Annotated[
    Literal["auto", "float32", "bf16", "fp16", "int8"],
    typer.Option(
        "--precision",
        help="Number type of the network; auto is the fastest that keeps the class map.",
        rich_help_panel="Model and engine",
    ),
]
InputSizeOption = Annotated[
    str | None,
    typer.Option(
        "--input-size",
        metavar="N|HxW",
        help="Size at which the network sees the images: N pixels on the shorter side, or HEIGHTxWIDTH.",
        show_default="the model's own",
        rich_help_panel="Model and engine",
    ),
]
SizeOption = Annotated[
    str | None,
    typer.Option(
        "--size",
        help="Size at which the network sees the images: the shorter side, or HEIGHTxWIDTH.",
        show_default="the model's own",
    ),
]

# What is compared, and on which labeled images: for the commands that measure speed.
EnginesOption = Annotated[
    str | None, typer.Option("--engines", help="Engines, with commas between them.", show_default="all that there are")
]
PrecisionsOption = Annotated[
    str | None, typer.Option("--precisions", help="Precisions, with commas between them.", show_default="all that run")
]
DeviceOption = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, or another that the engine finds.")]
DataOption = Annotated[
    str | None,
    typer.Option("--data", help="Data set to measure mIoU on: camvid, cityscapes, or a YAML file.", show_default=False),
]
RootOption = Annotated[
    Path | None,
    typer.Option("--root", help="The data set's folder; a YAML file may state it itself.", show_default=False),
]
SplitOption = Annotated[str, typer.Option("--split", help="Split to score, such as val or test.")]
MapOption = Annotated[
    str | None,
    typer.Option(
        "--map",
        help="How the model's classes count as those of the data: cityscapes-to-camvid.",
        show_default="by name",
    ),
]


def optional_input_size(text: str | None) -> InputSize | None:
    """Reads the value of `--input-size`.

    Raises:
        InputError: the text has another form.
    """
    return None if text is None else parse_input_size(text)


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
        except yaml.YAMLError:
            separator = ""
        if not separator or not key:
            raise InputError(f"an option is KEY=VALUE, such as output_stride=32, not {text!r}")
    return options

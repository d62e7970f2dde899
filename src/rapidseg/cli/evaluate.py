"""`rapidseg eval`: how well a model does on labeled images."""

from __future__ import annotations

import json
import shlex
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import typer
from rich.markup import escape
from rich.table import Table

from rapidseg import __version__
from rapidseg.cli.console import console, print_json, progress
from rapidseg.cli.help import examples
from rapidseg.cli.opening import open_segmenter
from rapidseg.cli.options.common import (
    ClassMappingOption,
    DeviceOption,
    EngineOption,
    InputSizeOption,
    JsonOption,
    ModelArgument,
    PrecisionOption,
    RequiredDataOption,
    RootOption,
    SplitOption,
)
from rapidseg.cli.protocol import ProtocolOptions
from rapidseg.core.sizes import parse_input_size

if TYPE_CHECKING:
    from rapidseg.evaluation import Evaluation, Observer


def register(app: typer.Typer) -> None:
    """Adds `eval`."""
    app.command(
        "eval",
        epilog=examples(
            "rapidseg eval mine.onnx --data my-streets.yaml",
            "rapidseg eval --data camvid --root camvid --split test -o test.json",
        ),
    )(evaluate_model)


def evaluate_model(
    data: RequiredDataOption,
    model: ModelArgument = None,
    root: RootOption = None,
    split: SplitOption = "val",
    size: InputSizeOption = None,
    subsample: Annotated[int, typer.Option(help="1, 2 or 4: divide the size at which the network sees images.")] = 1,
    protocol: Annotated[
        Literal["whole", "sliding", "multi-scale"], typer.Option(help="How images are shown to the network.")
    ] = "whole",
    crop: Annotated[
        str | None, typer.Option(help="For sliding: HEIGHTxWIDTH of a window, such as 769x769.", show_default=False)
    ] = None,
    stride: Annotated[
        str | None,
        typer.Option(help="For sliding: HEIGHTxWIDTH from window to window.", show_default="two thirds of the crop"),
    ] = None,
    scales: Annotated[
        str | None,
        typer.Option(help="For multi-scale: numbers with commas between.", show_default="0.5,0.75,1,1.25,1.5,1.75"),
    ] = None,
    flip: Annotated[
        bool | None, typer.Option("--flip/--no-flip", help="For multi-scale: mirrored, too.", show_default="flip")
    ] = None,
    engine: EngineOption = "auto",
    precision: PrecisionOption = "auto",
    device: DeviceOption = "auto",
    mapping: ClassMappingOption = None,
    worst: Annotated[int, typer.Option(min=0, help="How many of the worst images to list.")] = 5,
    save: Annotated[
        Path | None, typer.Option(help="Folder for the predictions, PNGs of class ids.", show_default=False)
    ] = None,
    submission: Annotated[
        Path | None,
        typer.Option(help="Folder for label-id PNGs as the server of Cityscapes takes them.", show_default=False),
    ] = None,
    html: Annotated[
        Path | None, typer.Option(help="File for a report to open in a browser.", show_default=False)
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File for the JSON document.", show_default=False)
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Predict every image of a split and print IoU and accuracy of each class, and their means.

    Scores are at the labels' own size, over the pixels of the whole split; checkpoints and exported files are scored
    alike.
    """
    from rapidseg.core.errors import InputError
    from rapidseg.core.files import write_text
    from rapidseg.data import open_dataset
    from rapidseg.evaluation import InputScaling, SubmissionWriter, class_mapping_between, evaluate
    from rapidseg.evaluation.report import ExtremeImages, Run, make_document
    from rapidseg.evaluation.saving import PredictionWriter
    from rapidseg.runtime.model_file import BUILT_IN_MODELS

    options = ProtocolOptions(protocol, crop, stride, scales, flip)
    scaling = InputScaling(None if size is None else parse_input_size(size), subsample)
    for path in (output, html):  # what would go wrong in the end is said now
        if path is not None and path.is_dir():
            raise InputError(f"{path} is a folder; give the name of a file")
    if html is not None:
        from rapidseg.evaluation.report import page
    dataset = open_dataset(data, root, split)
    segmenter = open_segmenter(model, engine=engine, precision=precision, device=device)
    predict = options.make(segmenter, scaling)
    found = class_mapping_between(segmenter.spec.labels, dataset.labels, mapping)
    extremes = ExtremeImages(dataset.labels, worst)
    observers: list[Observer] = [] if html is None else [extremes]
    if save is not None:
        observers.append(PredictionWriter(save, dataset))
    if submission is not None:
        observers.append(SubmissionWriter(submission, dataset.labels))
    start = time.monotonic()
    with progress() as display:
        task = display.add_task(f"{dataset.name} {dataset.split}", total=len(dataset))
        evaluation = evaluate(
            predict,
            dataset,
            class_mapping=None if found is None else found[1],
            progress=lambda done, _: display.update(task, completed=done),
            observers=observers,
        )
    document = make_document(
        evaluation,
        num_worst=worst,
        version=__version__,
        date=datetime.now().astimezone(),
        command=shlex.join(["rapidseg", *sys.argv[1:]]),
        model=model or BUILT_IN_MODELS[0],
        engine=segmenter.engine.name,
        precision=segmenter.engine.precision,
        device=segmenter.engine.device,
        data=str(Path(data).resolve()) if Path(data).is_file() else data,
        root=None if root is None else str(root.resolve()),
        dataset=dataset.name,
        split=dataset.split,
        num_images=len(dataset),
        protocol=predict.to_dict(),
        input_size=scaling.input_size,
        class_mapping=None if found is None else found[0],
        seconds=round(time.monotonic() - start, 3),
        saved=None if save is None else str(save.resolve()),
    )
    if output is not None:
        write_text(output, json.dumps(document, indent=2, allow_nan=False) + "\n")
    if html is not None:
        page.write_run_page(html, Run.model_validate(document), worst=extremes.worst, best=extremes.best)
    if as_json:
        print_json(document)
    else:
        _print_scores(document, evaluation)


def _print_scores(document: dict[str, Any], evaluation: Evaluation) -> None:
    title = (
        f"{document['model']} ({document['engine']}, {document['precision']}) on {document['dataset']} "
        f"{document['split']}, {document['num_images']} images; {document['protocol']['description']}"
    )
    if document["class_mapping"] is not None:
        title += f"; the model's classes are counted as those of the data by {document['class_mapping']}"
    console.print(escape(title), highlight=False, soft_wrap=True)
    table = Table()
    table.add_column("class")
    table.add_column("IoU", justify="right")
    table.add_column("accuracy", justify="right")
    scores = evaluation.scores
    for name, iou, accuracy in zip(evaluation.labels.names, scores.iou, scores.accuracy, strict=True):
        table.add_row(escape(name), _figure(iou), _figure(accuracy))
    table.add_section()
    table.add_row("mean (mIoU, mean accuracy)", _figure(scores.mean_iou), _figure(scores.mean_accuracy), style="bold")
    table.add_row("pixel accuracy", "", _figure(scores.pixel_accuracy), style="bold")
    if (categories := evaluation.category_scores) is not None:
        table.add_section()
        for name, iou, accuracy in zip(
            evaluation.labels.category_names, categories.iou, categories.accuracy, strict=True
        ):
            table.add_row(escape(f"category {name}"), _figure(iou), _figure(accuracy))
        means = _figure(categories.mean_iou), _figure(categories.mean_accuracy)
        table.add_row("mean of the categories", *means, style="bold")
    console.print(table)
    if document["worst"]:
        _print_worst(document["worst"])


def _print_worst(images: list[dict[str, Any]]) -> None:
    table = Table()
    table.add_column("worst images")
    table.add_column("mIoU", justify="right")
    table.add_column("pixel accuracy", justify="right")
    for image in images:
        table.add_row(escape(image["name"]), _figure(image["mean_iou"]), _figure(image["pixel_accuracy"]))
    console.print(table)


def _figure(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.3f}"

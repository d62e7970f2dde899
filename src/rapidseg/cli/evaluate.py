"""`rapidseg eval`: how well a model does on labelled images."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer
from rich.markup import escape
from rich.table import Table

from rapidseg.cli.console import console, print_json, progress
from rapidseg.cli.options import JsonOption, SizeOption, parse_working_size

if TYPE_CHECKING:
    from rapidseg.core.labels import LabelSet
    from rapidseg.evaluation import Evaluation, Predictor

_CHECKPOINTS = (".safetensors", ".pth", ".pt", ".ckpt", ".tar")


def register(app: typer.Typer) -> None:
    """Adds `eval`."""
    app.command("eval")(evaluate_model)


def evaluate_model(
    data: Annotated[
        str, typer.Option(help="camvid, cityscapes, or a YAML file that describes the data.", show_default=False)
    ],
    model: Annotated[
        str | None,
        typer.Argument(
            help="Exported file (.onnx), checkpoint (.safetensors, .pth), or the name of a built-in model.",
            show_default="the built-in Fast-SCNN",
        ),
    ] = None,
    root: Annotated[
        Path | None, typer.Option(help="The data set's folder; a YAML file may state it itself.", show_default=False)
    ] = None,
    split: Annotated[str, typer.Option(help="Split to score, such as val or test.")] = "val",
    size: SizeOption = None,
    engine: Annotated[
        str, typer.Option(help="openvino or onnxruntime for exported files, torch for checkpoints.")
    ] = "auto",
    precision: Annotated[str, typer.Option(help="float32 or bf16, for exported files.")] = "auto",
    mapping: Annotated[
        str | None,
        typer.Option(
            "--map",
            help="How the model's classes count as those of the data: cityscapes-to-camvid.",
            show_default="by name",
        ),
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
    from rapidseg.core.files import write_text
    from rapidseg.data import open_dataset
    from rapidseg.evaluation import class_mapping_between, evaluate

    working_size = parse_working_size(size)
    dataset = open_dataset(data, root, split)
    subject = _open(model, working_size, engine, precision)
    found = class_mapping_between(subject.labels, dataset.labels, mapping)
    start = time.monotonic()
    with progress() as display:
        task = display.add_task(f"{dataset.name} {dataset.split}", total=len(dataset))
        evaluation = evaluate(
            subject.predict,
            dataset,
            class_mapping=None if found is None else found[1],
            progress=lambda done, _: display.update(task, completed=done),
        )
    document = {
        "model": subject.name,
        "engine": subject.engine,
        "precision": subject.precision,
        "dataset": dataset.name,
        "split": dataset.split,
        "num_images": len(dataset),
        "working_size": working_size,
        "class_mapping": None if found is None else found[0],
        "seconds": round(time.monotonic() - start, 3),
        **evaluation.to_dict(),
    }
    if output is not None:
        write_text(output, json.dumps(document, indent=2, allow_nan=False) + "\n")
    if as_json:
        print_json(document)
    else:
        _print_scores(document, evaluation, size)


@dataclass(frozen=True)
class _Subject:
    """What is scored."""

    name: str
    predict: Predictor
    labels: LabelSet
    engine: str
    precision: str


def _open(model: str | None, working_size: int | tuple[int, int] | None, engine: str, precision: str) -> _Subject:
    if model is None or not model.endswith(_CHECKPOINTS):
        return _open_model_file(model, working_size, engine, precision)
    return _open_checkpoint(model, working_size, engine, precision)


def _open_model_file(
    model: str | None, working_size: int | tuple[int, int] | None, engine: str, precision: str
) -> _Subject:
    from rapidseg import load
    from rapidseg.runtime.model_file import BUILT_IN_MODELS

    segmenter = load(model, engine=engine, precision=precision)

    def predict(image: np.ndarray) -> np.ndarray:
        return segmenter(image, working_size=working_size).class_map

    running = segmenter.engine
    return _Subject(model or BUILT_IN_MODELS[0], predict, segmenter.spec.labels, running.name, running.precision)


def _open_checkpoint(model: str, working_size: int | tuple[int, int] | None, engine: str, precision: str) -> _Subject:
    from rapidseg.core.errors import EngineError

    if engine not in ("auto", "torch") or precision not in ("auto", "float32"):
        raise EngineError(
            f"{model} is a checkpoint, which runs in PyTorch in float32; leave --engine and --precision out, "
            "or write an .onnx file first with `rapidseg export`"
        )
    from rapidseg.importing import load_checkpoint
    from rapidseg.runtime import Segmenter

    segmenter = Segmenter.from_model(load_checkpoint(model))

    def predict(image: np.ndarray) -> np.ndarray:
        return segmenter(image, working_size=working_size).class_map

    running = segmenter.engine
    return _Subject(model, predict, segmenter.spec.labels, running.name, running.precision)


def _print_scores(document: dict[str, Any], evaluation: Evaluation, size: str | None) -> None:
    title = (
        f"{document['model']} ({document['engine']}, {document['precision']}) on {document['dataset']} "
        f"{document['split']}, {document['num_images']} images"
    )
    if size is not None:
        title += f" at {size}"
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


def _figure(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.3f}"

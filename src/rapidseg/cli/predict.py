"""`rapidseg predict`: images to class maps and pictures."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from rapidseg.cli.console import console, errors, print_json, progress, warn_of_engine
from rapidseg.cli.help import examples
from rapidseg.cli.options.common import InputSizeOption, JsonOption
from rapidseg.core.sizes import parse_input_size


def register(app: typer.Typer) -> None:
    """Adds `predict`."""
    app.command(epilog=examples("rapidseg predict photo.jpg", "rapidseg predict photos/ --model mine.onnx -o out"))(
        predict
    )


def predict(
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            help="Images, folders of images, or globs. Without any, the built-in sample is segmented.",
            metavar="PATH",
            show_default=False,
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", help="Model file (.onnx) or built-in model.", show_default="fast-scnn-camvid"),
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the results.")] = Path("predictions"),
    save: Annotated[
        list[str] | None,
        typer.Option(
            help="What to write: class-map, overlay or confidence (gray, white is sure); may be given several times.",
            show_default="class-map and overlay",
        ),
    ] = None,
    size: InputSizeOption = None,
    engine: Annotated[str, typer.Option(help="auto, openvino, onnxruntime or torch.")] = "auto",
    precision: Annotated[str, typer.Option(help="auto, float32, bf16 or fp16.")] = "auto",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, or another that the engine finds.")] = "auto",
    json: JsonOption = False,
) -> None:
    """Segment images: for each a class map (PNG of class ids) and an overlay with a legend.

    A file that cannot be read is named and left out; the exit status is then 1.
    """
    from rapidseg.core.errors import InputError
    from rapidseg.imaging import find_images
    from rapidseg.runtime import load
    from rapidseg.runtime.model_file import SAMPLE_IMAGE
    from rapidseg.runtime.saving import DEFAULT_KINDS, OutputFolder, make_record, write_record

    input_size = None if size is None else parse_input_size(size)
    images = find_images(paths or [SAMPLE_IMAGE])
    folder = OutputFolder(output, images, save or DEFAULT_KINDS)
    if not paths:
        errors.print("no image given: segmenting the built-in sample", highlight=False)
    segmenter = load(model, engine=engine, precision=precision, device=device)
    warn_of_engine(segmenter.engine)
    entries: list[dict[str, Any]] = []
    failed: list[dict[str, str]] = []
    display = progress()
    task = display.add_task("segmenting", total=len(images))

    def leave_out(image: Path | int, error: InputError) -> None:
        failed.append({"file": str(image), "error": str(error)})
        errors.print(f"[bold red]left out:[/] {escape(str(error))}", soft_wrap=True, highlight=False)
        display.advance(task)

    results = segmenter.stream(
        images, input_size=input_size, confidence="confidence" in folder.kinds, on_error=leave_out
    )
    complete = False
    try:
        with display, closing(results), closing(folder.save_all(results)) as saved:
            for entry in saved:
                entries.append(entry)
                display.advance(task)
        complete = True
    finally:  # also when interrupted
        record = make_record(segmenter, entries, failed, complete=complete)
        record_path = write_record(output, record)
    if json:
        print_json(record)
    else:
        _print_summary(record, folder, record_path)
    if failed:
        raise typer.Exit(1)


def _print_summary(record: Mapping[str, Any], folder: Any, record_path: Path) -> None:
    from rapidseg.runtime.saving import KINDS

    files, failed = record["files"], record["failed"]
    done = f"{len(files)} image{'' if len(files) == 1 else 's'} segmented"
    if failed:
        done += f", {len(failed)} left out"
    chosen = f"{record['model']['architecture']}, {record['engine']}, {record['precision']}, {record['device']}"
    lines = [f"{done} ({chosen})"]
    if len(files) == 1:
        shares = sorted(files[0]["class_shares"].items(), key=lambda item: -item[1])
        lines.append("shares: " + ", ".join(f"{name} {share:.1%}" for name, share in shares if share >= 0.0005))
    if files:
        stages = ", ".join(f"{stage.replace('_', ' ')} {value:.1f}" for stage, value in record["median_ms"].items())
        lines.append(f"{'median ' if len(files) > 1 else ''}ms: {stages}")
        lines += [f"{KINDS[kind][0].replace('_', ' ')}: {folder.folder / KINDS[kind][0]}" for kind in folder.kinds]
    lines.append(f"record: {record_path}")
    for line in lines:
        console.print(escape(line), soft_wrap=True, highlight=False)

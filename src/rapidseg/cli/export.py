"""`rapidseg export`: a checkpoint to one file that runs anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from rapidseg.cli.console import console, print_json, progress
from rapidseg.cli.options import JsonOption

if TYPE_CHECKING:
    from rapidseg.exporting import ExportReport


def register(app: typer.Typer) -> None:
    """Adds `export`."""
    app.command()(export)


def export(
    checkpoint: Annotated[
        Path,
        typer.Argument(help="Checkpoint: .safetensors of rapidseg, or a published one (.pth).", show_default=False),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="File to write, ending in .onnx.", show_default="beside the checkpoint"),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Write a checkpoint as one ONNX file, and prove that it computes the same.

    The file is run in ONNX Runtime and OpenVINO at several sizes and compared with the checkpoint in PyTorch. Only when
    all agree is it written; an older file of that name stays otherwise.
    """
    from rapidseg.core.errors import InputError
    from rapidseg.exporting import export_onnx
    from rapidseg.importing import load_checkpoint

    if checkpoint.suffix == ".onnx":
        raise InputError(f"{checkpoint} is an exported file already; give the checkpoint that it was made from")
    model = load_checkpoint(checkpoint)
    with progress() as display:
        task = display.add_task("tracing", total=None)
        report = export_onnx(
            model,
            model.spec,
            output or checkpoint.with_suffix(".onnx"),
            progress=lambda done, total: display.update(task, description="comparing", completed=done, total=total),
        )
    if json:
        print_json(report.to_dict())
    else:
        _print_report(report)


def _print_report(report: ExportReport) -> None:
    engines = list(dict.fromkeys(check.engine for check in report.checks))
    console.print("compared with PyTorch: difference of logits, in parts of the largest, and pixels of the same class")
    table = Table()
    table.add_column("images", justify="right")
    for engine in engines:
        table.add_column(engine, justify="right")
    found = {(check.size_hw, check.batch, check.engine): check for check in report.checks}
    for size_hw, batch in dict.fromkeys((check.size_hw, check.batch) for check in report.checks):
        cells = []
        for engine in engines:
            check = found[size_hw, batch, engine]
            cells.append(f"{check.relative_error:.1e}, {check.agreement:.3%}")
        table.add_row(f"{batch} of {size_hw[0]}x{size_hw[1]}", *cells)
    console.print(table)
    labels = report.spec.labels
    console.print(
        f"wrote {escape(str(report.path))}: {report.spec.architecture}, {labels.num_classes} classes, "
        f"{report.size_bytes / 1e6:.1f} MB",
        highlight=False,
        soft_wrap=True,
    )

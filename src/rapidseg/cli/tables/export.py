"""Tables and lines of `rapidseg export`, `rapidseg import` and `rapidseg models push`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

from rich.table import Table

from rapidseg.cli.console import console, print_line, print_note
from rapidseg.core.sizes import format_size

if TYPE_CHECKING:
    from rapidseg.core.spec import ModelSpec
    from rapidseg.exporting import ExportReport, QuantizationReport, SpecializationReport
    from rapidseg.exporting.onnx_export import ExportedFile
    from rapidseg.exporting.verification import Check
    from rapidseg.workflows.import_checkpoint import ImportReport
    from rapidseg.workflows.push import PushReport

_SHOWN_CLASSES = 3


def print_report(report: ExportReport | QuantizationReport | SpecializationReport) -> None:
    """Prints the report of an export, and the file that was written."""
    spec = report.spec
    if spec.static_size is not None or spec.output != "logits":
        print_specialization(cast("SpecializationReport", report))
    elif spec.quantization is None:
        print_export(cast("ExportReport", report))
        _print_written(report, f"{report.size_bytes / 1e6:.1f} MB")
    else:
        quantized = cast("QuantizationReport", report)
        print_quantization(quantized)
        sizes = f"{report.size_bytes / 1e6:.1f} MB ({quantized.float32_size_bytes / 1e6:.1f} MB in float32)"
        _print_written(report, sizes)


def print_specialization(report: SpecializationReport) -> None:
    """Prints how the model file was made, if it was, and the comparisons of the file for other programs with it."""
    spec, source = report.spec, report.source
    if source is not None and source.spec.quantization is None:
        print_export(cast("ExportReport", source))
    elif source is not None:
        print_quantization(cast("QuantizationReport", source))
    if spec.output == "logits":
        print_line("compared with the model file of any size: max logit error; pixels with the same class")
    else:
        print_line("compared with what RapidSeg predicts: pixels with the same class")
    _print_checks(report.checks, _cell)
    for warning in report.warnings:
        print_note(warning)
    size = "any size" if spec.static_size is None else f"{format_size(spec.static_size)} only"
    output = "logits" if spec.output == "logits" else "class maps (uint8)"
    _print_written(report, f"{size}, {output}, {report.size_bytes / 1e6:.1f} MB")


def print_export(report: ExportReport) -> None:
    """Prints the comparisons, and the agreement of bf16 and fp16."""
    print_line("compared with PyTorch: max logit error (relative to the largest logit); pixels with the same class")
    _print_checks(report.checks, _cell)
    _print_precision(report, "bf16", "on CPUs that compute in it")
    _print_precision(report, "fp16", "on NVIDIA GPUs")


def print_push(report: PushReport) -> None:
    """Prints what was uploaded, and how to load it."""
    print_line(f"{', '.join(report.files)} ({report.size_bytes / 1e6:.1f} MB) uploaded: {report.url}")
    print_line(f"Load it: rapidseg predict photo.jpg --model {report.address}")


def print_quantization(report: QuantizationReport) -> None:
    """Prints the cost of INT8, the fallback layers and why, and the comparisons."""
    quantization = report.quantization
    print_line(
        f"mIoU on {quantization.dataset} {quantization.validation_split}: "
        f"{quantization.mean_iou_float32:.4f} in float32, {quantization.mean_iou:.4f} in INT8; "
        f"{quantization.agreement:.2%} of pixels keep their class"
    )
    if report.effects:
        lost = 100 * (quantization.mean_iou_float32 - report.trials[0])
        print_line(
            f"fallback layers, in floating point: {len(report.effects)} of {report.num_layers}; with all layers in "
            f"INT8, mIoU drops by {lost:.2f} points. Change of the logits by each layer alone in INT8:"
        )
        for name, effect in report.effects.items():
            print_line(f"  {name}: {effect:.1%}")
    else:
        print_line(f"all {report.num_layers} layers are INT8")
    print_line(
        "compared with float32: RMS error of the logits (in brackets, by the ONNX standard); pixels with the same "
        "class as by the standard"
    )
    _print_checks(report.checks, lambda check: f"{check.error:.1%} ({check.standard_error:.1%}); {check.agreement:.2%}")
    _print_precision(report, "bf16", "float32 in layers that are not INT8")


def print_import(report: ImportReport) -> None:
    """Prints the notes, a summary of the checkpoint, and the file that was written."""
    for note in report.notes:
        print_note(note)
    size = f"{report.num_parameters / 1e6:.2f} M parameters"
    if report.encoder is not None:
        encoder = report.encoder
        features = f", features of {encoder.feature_dim} numbers" if encoder.feature_dim else ""
        print_line(f"encoder {encoder.network} of {encoder.source}{features}, {size}")
        print_line(f"wrote {report.path}; start a training run from it with model.weights={report.path}")
        return
    spec = cast("ModelSpec", report.spec)
    labels = spec.labels
    names = ", ".join(labels.names[:_SHOWN_CLASSES]) + (", ..." if labels.num_classes > _SHOWN_CLASSES else "")
    source = f" ({spec.source})" if spec.source else ""
    print_line(f"{spec.architecture}{source}, {labels.num_classes} classes: {names}; {size}")
    print_line(f"wrote {report.path}")


def _cell(check: Check) -> str:
    error = "" if check.relative_error is None else f"{check.relative_error:.1e}; "
    return f"{error}{check.agreement:.3%}"


def _print_checks(checks: Sequence[Any], cell: Callable[[Any], str]) -> None:
    """Prints a table with a column per engine; engines are not compared at every size."""
    engines = list(dict.fromkeys(check.engine for check in checks))
    table = Table()
    for heading in ("images", *engines):
        table.add_column(heading, justify="right")
    by_case = {(check.size_hw, check.batch, check.engine): check for check in checks}
    for size_hw, batch in dict.fromkeys((check.size_hw, check.batch) for check in checks):
        row = [by_case.get((size_hw, batch, engine)) for engine in engines]
        table.add_row(f"{batch} of {format_size(size_hw)}", *("-" if check is None else cell(check) for check in row))
    console.print(table)


def _print_precision(report: ExportedFile, precision: str, where: str) -> None:
    agreement, threshold = report.spec.precisions.get(precision), report.precision_threshold
    if agreement is None:
        if precision == "bf16":
            print_line("bf16 was not measured: this CPU does not compute in it. It is used on request only")
        return
    default = "the default" if agreement >= threshold else "not the default"
    print_line(
        f"{precision} agrees with float32 on {_percent(agreement, threshold)} of pixels (threshold {threshold:.1%}); "
        f"it is {default} {where}"
    )


def _percent(agreement: float, threshold: float) -> str:
    """Returns a share with so many digits that it is on the same side of the threshold as printed."""
    digits = 2
    while digits < 6 and agreement < threshold <= round(agreement, digits + 2):
        digits += 1
    return f"{agreement:.{digits}%}"


def _print_written(report: ExportedFile, size: str) -> None:
    print_line(f"wrote {report.path}: {report.spec.architecture}, {report.spec.labels.num_classes} classes, {size}")

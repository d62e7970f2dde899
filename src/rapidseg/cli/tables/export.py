"""What `rapidseg export` says when it is done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from rapidseg.cli.console import console

if TYPE_CHECKING:
    from rapidseg.core.spec import ModelSpec
    from rapidseg.exporting import ExportReport, QuantizationReport


def print_export(report: ExportReport) -> None:
    """Prints the comparisons, what bf16 and fp16 change, and what was written."""
    _say("compared with PyTorch: difference of logits, in parts of the largest, and pixels of the same class")
    _print_table(report.checks, lambda check: f"{check.relative_error:.1e}, {check.agreement:.3%}")
    _print_precision(report.spec, "bf16", "float32")
    _print_precision(report.spec, "fp16", "float32 on an NVIDIA GPU")
    _print_written(report.path, report.spec, f"{report.size_bytes / 1e6:.1f} MB")


def print_quantization(report: QuantizationReport) -> None:
    """Prints what INT8 costs, which layers were kept and why, the comparisons, and what was written."""
    quantization = report.quantization
    _say(
        f"mIoU on {escape(quantization.dataset)} {escape(quantization.validation_split)}: "
        f"{quantization.mean_iou_float32:.4f} in float32, {quantization.mean_iou:.4f} in INT8; "
        f"the same class at {quantization.agreement:.2%} of pixels"
    )
    if report.effects:
        lost = 100 * (quantization.mean_iou_float32 - report.tried[0])
        _say(
            f"kept in floating point: {len(report.effects)} of {report.num_layers} layers, because with all in INT8 "
            f"{lost:.2f} points are lost. What each alone does to the logits in INT8:"
        )
        for name, effect in report.effects.items():
            _say(f"  {escape(name)}: {effect:.1%}")
    else:
        _say(f"all {report.num_layers} layers are INT8")
    _say(
        "logits against float32, root mean square of the difference, in brackets what the standard gives; and pixels "
        "of the class that the standard gives"
    )
    _print_table(report.checks, lambda check: f"{check.error:.1%} ({check.standard_error:.1%}), {check.agreement:.2%}")
    _print_precision(report.spec, "bf16", "float32 for what is not INT8")
    sizes = f"{report.size_bytes / 1e6:.1f} MB ({report.float32_size_bytes / 1e6:.1f} MB in float32)"
    _print_written(report.path, report.spec, sizes)


def _print_table(checks: Sequence[Any], cell: Callable[[Any], str]) -> None:
    engines = list(dict.fromkeys(check.engine for check in checks))
    table = Table()
    for heading in ("images", *engines):
        table.add_column(heading, justify="right")
    found = {(check.size_hw, check.batch, check.engine): check for check in checks}
    for size_hw, batch in dict.fromkeys((check.size_hw, check.batch) for check in checks):
        cells = [cell(found[size_hw, batch, engine]) for engine in engines]
        table.add_row(f"{batch} of {size_hw[0]}x{size_hw[1]}", *cells)
    console.print(table)


def _print_precision(spec: ModelSpec, precision: str, instead_of: str) -> None:
    from rapidseg.runtime.engines import AUTO_PRECISION_MIN_AGREEMENT

    agreement = spec.precisions.get(precision)
    if agreement is None:
        if precision == "bf16":
            _say("bf16 was not measured, since this CPU does not compute in it; the file runs without it by default")
        return
    taken = "is the default" if agreement >= AUTO_PRECISION_MIN_AGREEMENT else "is not the default"
    _say(
        f"{precision} in place of {instead_of}: the same class at {agreement:.2%} of pixels; "
        f"it {taken}, for which {AUTO_PRECISION_MIN_AGREEMENT:.1%} are needed"
    )


def _print_written(path: Path, spec: ModelSpec, size: str) -> None:
    _say(f"wrote {escape(str(path))}: {spec.architecture}, {spec.labels.num_classes} classes, {size}")


def _say(text: str) -> None:
    console.print(text, highlight=False, soft_wrap=True)

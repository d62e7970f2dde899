"""The output of `rapidseg benchmark`: tables, and the lines that explain them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from rapidseg.cli.console import console, errors, print_warning
from rapidseg.cli.tables.measurement_cells import (
    add_number_columns,
    format_number,
    miou_cell,
    new_table,
    print_table,
    ratio_cell,
    summary_cell,
)
from rapidseg.core.sizes import format_size
from rapidseg.core.wording import count_of

if TYPE_CHECKING:
    from rapidseg.benchmarking.benchmark_report import BenchmarkReport, Measurement


def show_benchmark(report: BenchmarkReport, *, tables: bool, with_skipped: bool) -> None:
    """Prints tables to standard output if requested; warnings and the written files to standard error.

    Args:
        report: what was measured.
        tables: whether to print the tables and the lines below them.
        with_skipped: whether these lines include the skipped configurations.
    """
    if tables:
        print_table(stage_table(report))
        print_table(rate_table(report))
        for line in closing_lines(report, with_skipped=with_skipped):
            console.print(escape(line), highlight=False, soft_wrap=True)
    for warning in report.warnings:
        print_warning(warning)
    for path in report.files:
        errors.print(escape(f"wrote {path}"), highlight=False, soft_wrap=True)


def stage_table(report: BenchmarkReport) -> Table:
    """Returns milliseconds by stage: the median, and below it the 5th and 95th percentile."""
    table = _table("milliseconds by stage: median, and 5th to 95th percentile", report)
    add_number_columns(table, *(stage.replace("_", "\n") for stage in report.measurements[0].stages_ms))
    for measurement in report.measurements:
        table.add_row(_label(measurement, report), *map(summary_cell, measurement.stages_ms.values()))
    return table


def rate_table(report: BenchmarkReport) -> Table:
    """Returns time and rate of the whole path, memory, share of the peak matmul rate, mIoU and speed-up."""
    table = _table("from image in memory to class map in memory, and with files", report)
    with_gpu = any(measurement.peak_gpu_memory_bytes for measurement in report.measurements)
    with_speed_up = any(measurement.speed_up for measurement in report.measurements)
    headings = ["ms", "FPS", "FPS with\nfiles", "FPS\nstream", "peak\nMB"]
    headings += ["GPU\nMB"] if with_gpu else []
    headings += ["GFLOP/s", "% of\npeak", "mIoU"]
    headings += ["speed-up\nover eager"] if with_speed_up else []
    add_number_columns(table, *headings)
    for measurement in report.measurements:
        stream, share = measurement.stream_frames_per_s, measurement.peak_matmul_share
        cells = [
            summary_cell(measurement.path_ms),
            format_number(measurement.frames_per_s.median),
            format_number(measurement.frames_per_s_with_io.median),
            "-" if stream is None else format_number(stream.median),
            _megabytes(measurement.peak_memory_bytes),
        ]
        cells += [_megabytes(measurement.peak_gpu_memory_bytes)] if with_gpu else []
        cells += [
            f"{measurement.network_operations_per_s / 1e9:.0f}",
            "-" if share is None else f"{share:.0%}",
            miou_cell(None if measurement.accuracy is None else measurement.accuracy.mean_iou),
        ]
        if with_speed_up:
            cells.append("-" if measurement.speed_up is None else ratio_cell(measurement.speed_up))
        table.add_row(_label(measurement, report), *cells)
    return table


def closing_lines(report: BenchmarkReport, *, with_skipped: bool) -> list[str]:
    """Returns the references and the noise that the tables must be read with, and optionally what was skipped."""
    lines = []
    for precision, rate in report.peak_matmul_rates.items():
        openvino, numpy = rate.operations_per_s, rate.numpy_operations_per_s
        in_numpy = "" if numpy is None else f"; NumPy {numpy.median / 1e9:.0f}"
        lines.append(
            f"peak matmul rate in {precision}: {openvino.median / 1e9:.0f} GFLOP/s "
            f"({openvino.p5 / 1e9:.0f} to {openvino.p95 / 1e9:.0f}{in_numpy})"
        )
    for size_hw, eager in report.eager_ms.items():
        lines.append(
            f"eager PyTorch at {format_size(size_hw)}: {eager.median:.1f} ms ({eager.p5:.1f} to {eager.p95:.1f})"
        )
    for name in _names(report):
        measurements = [each for each in report.measurements if each.configuration.name == name]
        macs = {format_size(each.input_size_hw): each.complexity.multiply_accumulates for each in measurements}
        parameters = measurements[0].complexity.parameters
        work = ", ".join(f"{number / 1e9:.2f} G at {size}" for size, number in macs.items())
        lines.append(f"{name}: {parameters / 1e6:.2f} M parameters; multiply-accumulates: {work}")
    accuracies = [each.accuracy for each in report.measurements if each.accuracy is not None]
    lines += [f"mIoU {source}" for source in dict.fromkeys(accuracy.source for accuracy in accuracies)]
    noise = (
        "run-to-run noise is unknown; measure it with --rounds 3 or more"
        if report.noise is None
        else f"run-to-run noise is {report.noise:.0%}; ignore smaller differences"
    )
    machine = f"{report.machine['cpu']}, {count_of(report.machine['cpus'], 'CPU')}"
    lines.append(f"{count_of(report.rounds, 'round')} on {machine}; {noise}")
    labels: dict[str, set[str]] = {}
    for configuration, reason in report.skipped if with_skipped else ():
        labels.setdefault(reason, set()).add(configuration.label)
    lines += [f"skipped: {', '.join(sorted(group))} ({reason})" for reason, group in labels.items()]
    return lines


def _table(title: str, report: BenchmarkReport) -> Table:
    models = _names(report)
    table = new_table(f"{models[0]}: {title}" if len(models) == 1 else title)
    table.add_column("configuration", no_wrap=True)
    return table


def _label(measurement: Measurement, report: BenchmarkReport) -> str:
    configuration = measurement.configuration
    name = f"{configuration.name}\n" if len(_names(report)) > 1 else ""
    batch = f" x {configuration.batch}" if configuration.batch > 1 else ""
    size = format_size(measurement.input_size_hw)
    return escape(f"{name}{measurement.engine}\n{measurement.precision} {size}{batch}")


def _names(report: BenchmarkReport) -> list[str]:
    return list(dict.fromkeys(measurement.configuration.name for measurement in report.measurements))


def _megabytes(size_bytes: int | None) -> str:
    return "-" if size_bytes is None else f"{size_bytes / 1e6:.0f}"

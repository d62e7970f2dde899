"""What `rapidseg benchmark` and `rapidseg tune` show: progress, tables and the lines below them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement as Widths
from rich.table import Table

from rapidseg.cli.console import console
from rapidseg.cli.console import progress as progress_display

if TYPE_CHECKING:
    from rapidseg.benchmarking.report import BenchmarkReport, Measurement
    from rapidseg.benchmarking.selection import Tuning
    from rapidseg.benchmarking.summary import Summary

_WIDEST = 200  # columns


@contextmanager
def phases() -> Iterator[Callable[[str, int, int], None]]:
    """Shows a line of progress for each phase; gives what is called with phase, steps done and steps of all."""
    with progress_display() as display:
        tasks = {}

        def show(phase: str, done: int, total: int) -> None:
            if phase not in tasks:
                tasks[phase] = display.add_task(phase, total=total)
            display.update(tasks[phase], completed=done, total=total)

        yield show


def print_table(table: Table) -> None:
    """Prints a table at its full width, even where the console is narrower: half a number is none."""
    wide = Console(width=_WIDEST)
    Console(width=max(console.width, Widths.get(wide, wide.options, table).maximum)).print(table)


def stage_table(report: BenchmarkReport) -> Table:
    """Returns milliseconds by stage: median, and below it the 5th and 95th percentile."""
    table = _table("milliseconds by stage: median, and 5th to 95th percentile", report)
    for stage in report.measurements[0].stages_ms:
        table.add_column(stage.replace("_", "\n"), justify="right", no_wrap=True)
    for one in report.measurements:
        table.add_row(_title(one, report), *(_cell(spread) for spread in one.stages_ms.values()))
    return table


def rate_table(report: BenchmarkReport) -> Table:
    """Returns what the stages make together, and what it takes."""
    table = _table("from image in memory to class map in memory, and with files", report)
    with_gpu = any(one.peak_gpu_memory_bytes for one in report.measurements)
    with_ratio = any(one.speed_up for one in report.measurements)
    headings = ["ms", "frames\n/s", "with\nfiles", "stream", "peak\nMB"]
    headings += ["GPU\nMB"] if with_gpu else []
    headings += ["GFLOP\n/s", "of\nrate", "mIoU"]
    headings += ["eager\ntakes"] if with_ratio else []
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    for one in report.measurements:
        cells = [
            _cell(one.path_ms),
            _number(one.frames_per_s.median),
            _number(one.frames_per_s_with_io.median),
            "-" if one.stream_frames_per_s is None else _number(one.stream_frames_per_s.median),
            _megabytes(one.peak_memory_bytes),
        ]
        cells += [_megabytes(one.peak_gpu_memory_bytes)] if with_gpu else []
        cells += [
            f"{one.network_operations_per_s / 1e9:.0f}",
            "-" if one.matrix_share is None else f"{one.matrix_share:.0%}",
            "-" if one.accuracy is None else f"{one.accuracy.mean_iou:.4f}",
        ]
        if with_ratio:
            cells.append("-" if one.speed_up is None else _ratio(one.speed_up))
        table.add_row(_title(one, report), *cells)
    return table


def closing_lines(report: BenchmarkReport, *, with_left_out: bool) -> list[str]:
    """Returns what one must know to read the tables, and on demand what cannot run here."""
    lines = []
    for precision, rate in report.matrix_rates.items():
        numpy = rate.numpy_operations_per_s
        beside = "" if numpy is None else f" (NumPy {numpy.median / 1e9:.0f})"
        lines.append(
            f"matrix rate in {precision}: {rate.operations_per_s.median / 1e9:.0f} GFLOP/s{beside}, "
            f"{rate.operations_per_s.p5 / 1e9:.0f} to {rate.operations_per_s.p95 / 1e9:.0f}"
        )
    for size, spread in report.eager_ms.items():
        lines.append(f"plain PyTorch at {_size(size)}: {spread.median:.1f} ms, {spread.p5:.1f} to {spread.p95:.1f}")
    for name in _names(report):
        ones = [one for one in report.measurements if one.configuration.name == name]
        work = {_size(one.input_size_hw): one.complexity.multiply_accumulates for one in ones}
        each = ", ".join(f"{macs / 1e9:.2f} G at {size}" for size, macs in work.items())
        lines.append(f"{name}: {ones[0].complexity.parameters / 1e6:.2f} M parameters; multiply-accumulates {each}")
    for source in dict.fromkeys(one.accuracy.source for one in report.measurements if one.accuracy is not None):
        lines.append(f"mIoU {source}")
    machine = report.machine
    lines.append(
        f"{report.rounds} rounds on {machine['cpu']}, {machine['cpus']} CPUs; the medians of a configuration's rounds "
        f"differ by up to {report.noise:.0%}, so smaller differences mean nothing"
    )
    reasons: dict[str, set[str]] = {}
    for configuration, reason in report.left_out if with_left_out else ():
        way = f"{configuration.name} {configuration.engine} {configuration.precision}"
        reasons.setdefault(reason, set()).add(way)
    lines += [f"left out {', '.join(sorted(ways))}: {reason}" for reason, ways in reasons.items()]
    return lines


def tries_table(tuning: Tuning) -> Table:
    """Returns everything that was tried, fastest first; the choice is marked."""
    table = Table(
        title="tried, from image in memory to class map in memory",
        title_justify="left",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        show_edge=False,
    )
    table.add_column("")
    table.add_column("configuration", no_wrap=True)
    for heading in ("network sees", "ms", "frames/s", "mIoU"):
        table.add_column(heading, justify="right", no_wrap=True)
    for one in tuning.tries:
        table.add_row(
            ("*" if tuning.granted else "-") if one is tuning.best else "",
            escape(f"{one.configuration.name} {one.engine} {one.precision}"),
            _size(one.input_size_hw),
            _cell(one.path_ms),
            _number(one.frames_per_s),
            "-" if one.mean_iou is None else f"{one.mean_iou:.4f}",
        )
    return table


def _table(title: str, report: BenchmarkReport) -> Table:
    models = _names(report)
    table = Table(
        title=escape(f"{models[0]}: {title}" if len(models) == 1 else title),
        title_justify="left",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        show_edge=False,
    )
    table.add_column("configuration", no_wrap=True)
    return table


def _title(one: Measurement, report: BenchmarkReport) -> str:
    name = f"{one.configuration.name}\n" if len(_names(report)) > 1 else ""
    batch = f" x {one.configuration.batch}" if one.configuration.batch > 1 else ""
    return escape(f"{name}{one.engine}\n{one.precision} {_size(one.input_size_hw)}{batch}")


def _names(report: BenchmarkReport) -> list[str]:
    return list(dict.fromkeys(one.configuration.name for one in report.measurements))


def _size(size_hw: tuple[int, int]) -> str:
    return f"{size_hw[0]}x{size_hw[1]}"


def _cell(spread: Summary) -> str:
    return f"{_number(spread.median)}\n[dim]{_rough(spread.p5)}-{_rough(spread.p95)}[/]"


def _ratio(spread: Summary) -> str:
    return f"{spread.median:.1f}x\n[dim]{_rough(spread.p5)}-{_rough(spread.p95)}[/]"


def _number(value: float) -> str:
    """Returns three digits or more, as a person reads them."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _rough(value: float) -> str:
    """Returns two digits or more, for the ends of a range."""
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}" if value >= 1 else f"{value:.2f}"


def _megabytes(size_bytes: int | None) -> str:
    return "-" if size_bytes is None else f"{size_bytes / 1e6:.0f}"

"""A plot of speed against mIoU. Needs Matplotlib: the extra `report`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rapidseg.benchmarking.benchmark_report import Measurement
from rapidseg.core.files import atomic_path
from rapidseg.core.sizes import format_size
from rapidseg.system.matplotlib_folder import use_cache_for_matplotlib

NAME = "speed_accuracy"
_SUFFIXES = (".png", ".svg")
_MARKERS = "osD^vPX*"


def plot_speed_accuracy(measurements: Sequence[Measurement], folder: Path) -> list[Path]:
    """Plots images per second, from memory to memory, against mIoU, and writes PNG and SVG files.

    Configurations whose mIoU is unknown are skipped. Bars are the 5th and 95th percentile of the speed.

    Returns:
        The files; none if every mIoU is unknown.

    Raises:
        ModuleNotFoundError: Matplotlib is not installed.
        RapidSegError: a file cannot be written.
    """
    known = [measurement for measurement in measurements if measurement.accuracy is not None]
    if not known:
        return []
    use_cache_for_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure  # not pyplot, which would choose a window system

    figure = Figure(figsize=(8, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    labels = list(dict.fromkeys(_series(measurement) for measurement in known))
    for index, label in enumerate(labels):
        points = [measurement for measurement in known if _series(measurement) == label]
        speeds = [point.frames_per_s for point in points]
        below = [speed.median - speed.p5 for speed in speeds]
        above = [speed.p95 - speed.median for speed in speeds]
        mean_ious = [100 * point.accuracy.mean_iou for point in points if point.accuracy is not None]
        axes.errorbar(
            [speed.median for speed in speeds],
            mean_ious,
            xerr=[below, above],
            fmt=_MARKERS[index % len(_MARKERS)],
            capsize=2,
            label=label,
        )
        for point, speed, mean_iou in zip(points, speeds, mean_ious, strict=True):
            text = format_size(point.input_size_hw)
            axes.annotate(text, (speed.median, mean_iou), (4, 5), textcoords="offset points", fontsize=8)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("{x:g}")
    axes.set_xlabel("images per second, memory to memory (median, 5th to 95th percentile)")
    axes.set_ylabel("mIoU in %")
    axes.grid(alpha=0.3, which="both")
    axes.legend()
    paths = [folder / f"{NAME}{suffix}" for suffix in _SUFFIXES]
    for path in paths:
        with atomic_path(path) as temporary:
            figure.savefig(temporary, dpi=150)
    return paths


def _series(measurement: Measurement) -> str:
    return f"{measurement.configuration.name} {measurement.engine} {measurement.precision}"

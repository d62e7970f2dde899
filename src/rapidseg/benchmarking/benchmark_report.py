"""The result of a benchmark: figures for each configuration, and the references that they are compared with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rapidseg.benchmarking.accuracy import Accuracy
from rapidseg.benchmarking.configuration import Configuration
from rapidseg.benchmarking.summary import Summary
from rapidseg.core.report import Report, with_warnings
from rapidseg.core.sizes import SizeHW, format_size
from rapidseg.core.wording import count_of
from rapidseg.runtime.onnx_complexity import Complexity


@dataclass(frozen=True)
class Measurement:
    """The measured figures of a configuration.

    Attributes:
        configuration: the configuration as it was requested.
        engine: the engine that `load` chose.
        precision: the precision that `load` chose.
        device: the device that `load` chose.
        choice: the same with the reasons, in one sentence.
        input_size_hw: size at which the network saw the images.
        stages_ms: milliseconds per batch by stage, in the order in which they run.
        path_ms: from images in memory to class maps in memory.
        with_io_ms: from files to files, one stage after the other.
        stream_frames_per_s: of `Segmenter.stream` with writing in threads, from files to files; None for batches.
        peak_memory_bytes: peak memory of the process; None where unknown.
        peak_gpu_memory_bytes: peak GPU memory of the process; None where unknown.
        complexity: size and work of the network for one image.
        peak_matmul_share: rate of the network as a share of the peak matmul rate in the same precision; None where
            that rate is unknown.
        between_round_drift: range of the rounds' medians of `path_ms`, as a share of their median; None for a
            single round.
        accuracy: None where the mIoU is unknown.
        speed_up: over eager PyTorch, from pairs of measurements; None without that baseline.
    """

    configuration: Configuration
    engine: str
    precision: str
    device: str
    choice: str
    input_size_hw: SizeHW
    stages_ms: Mapping[str, Summary]
    path_ms: Summary
    with_io_ms: Summary
    stream_frames_per_s: Summary | None
    peak_memory_bytes: int | None
    peak_gpu_memory_bytes: int | None
    complexity: Complexity
    peak_matmul_share: float | None
    between_round_drift: float | None
    accuracy: Accuracy | None
    speed_up: Summary | None

    @property
    def frames_per_s(self) -> Summary:
        """Images per second, from memory to memory."""
        return self.path_ms.rate(self.configuration.batch)

    @property
    def frames_per_s_with_io(self) -> Summary:
        """Images per second, from files to files, one stage after the other."""
        return self.with_io_ms.rate(self.configuration.batch)

    @property
    def network_operations_per_s(self) -> float:
        """Multiplications and additions of the network per second, at the median of its time."""
        operations = 2 * self.complexity.multiply_accumulates * self.configuration.batch
        return 1e3 * operations / self.stages_ms["network"].median

    def to_dict(self) -> dict[str, Any]:
        """Returns all figures for JSON."""
        return {
            "model": self.configuration.model,
            "engine": self.engine,
            "precision": self.precision,
            "device": self.device,
            "choice": self.choice,
            "image_size_hw": list(self.configuration.image_size_hw),
            "input_size_hw": list(self.input_size_hw),
            "batch": self.configuration.batch,
            "stages_ms": {stage: summary.to_dict() for stage, summary in self.stages_ms.items()},
            "path_ms": self.path_ms.to_dict(),
            "with_io_ms": self.with_io_ms.to_dict(),
            "frames_per_s": {
                "path": self.frames_per_s.to_dict(),
                "with_io": self.frames_per_s_with_io.to_dict(),
                "stream": _optional(self.stream_frames_per_s),
            },
            "peak_memory_bytes": self.peak_memory_bytes,
            "peak_gpu_memory_bytes": self.peak_gpu_memory_bytes,
            "parameters": self.complexity.parameters,
            "multiply_accumulates": self.complexity.multiply_accumulates,
            "network_operations_per_s": round(self.network_operations_per_s),
            "peak_matmul_share": None if self.peak_matmul_share is None else round(self.peak_matmul_share, 4),
            "between_round_drift": _rounded(self.between_round_drift),
            "mean_iou": None if self.accuracy is None else self.accuracy.mean_iou,
            "mean_iou_source": None if self.accuracy is None else self.accuracy.source,
            "speed_up": _optional(self.speed_up),
        }


@dataclass(frozen=True)
class PeakMatmulRate:
    """Multiplications and additions per second of a large matrix product: the most that the machine computes.

    Attributes:
        operations_per_s: in OpenVINO.
        numpy_operations_per_s: the same product in NumPy; None except for float32.
    """

    operations_per_s: Summary
    numpy_operations_per_s: Summary | None

    @property
    def highest(self) -> float:
        """The larger of the two medians."""
        rates = [rate.median for rate in (self.operations_per_s, self.numpy_operations_per_s) if rate is not None]
        return max(rates)

    def to_dict(self) -> dict[str, Any]:
        """Returns all figures for JSON."""
        return {
            "operations_per_s": self.operations_per_s.to_dict(0),
            "numpy_operations_per_s": _optional(self.numpy_operations_per_s, 0),
        }


@dataclass(frozen=True)
class BenchmarkReport(Report):
    """The result of a benchmark.

    Attributes:
        measurements: in the order of models, engines, precisions and sizes.
        skipped: configurations that cannot run here, with the reason.
        peak_matmul_rates: by precision.
        eager_ms: eager PyTorch, from memory to memory, by image size; empty without that baseline.
        images: for each size, the file that was decoded.
        rounds: number of rounds.
        seconds: approximate length of a measurement.
        machine: the machine that it ran on.
        unmeasured: engines and precisions that were requested by name but could not be measured at all.
        warnings: what else a reader should know, such as a mIoU on a split that the model was trained on, or
            configurations that are missing in the plot.
        files: the files that were written.
        complete: whether everything that was requested was done.
    """

    measurements: tuple[Measurement, ...]
    skipped: tuple[tuple[Configuration, str], ...]
    peak_matmul_rates: Mapping[str, PeakMatmulRate]
    eager_ms: Mapping[SizeHW, Summary]
    images: Mapping[SizeHW, str]
    rounds: int
    seconds: float
    machine: Mapping[str, Any]
    unmeasured: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()
    complete: bool = True

    @property
    def noise(self) -> float | None:
        """Run-to-run noise: the largest drift between rounds of any configuration; ignore smaller differences.

        None after a single round: the noise is unknown.
        """
        drifts = [measurement.between_round_drift for measurement in self.measurements]
        return max((drift for drift in drifts if drift is not None), default=None)

    def headline(self) -> str:
        fastest = max(self.measurements, key=lambda measurement: measurement.frames_per_s.median)
        about = (
            f"{count_of(self.measurements, 'configuration')}; fastest {fastest.configuration.name} {fastest.engine} "
            f"{fastest.precision} at {format_size(fastest.input_size_hw)}: {fastest.frames_per_s.median:.1f} FPS"
        )
        return with_warnings(f"{about}; {len(self.skipped)} skipped" if self.skipped else about, self.warnings)

    def to_dict(self) -> dict[str, Any]:
        """Returns everything for JSON."""
        return {
            "machine": dict(self.machine),
            "rounds": self.rounds,
            "seconds": self.seconds,
            "noise": _rounded(self.noise),
            "images": [{"size_hw": list(size_hw), "file": file} for size_hw, file in self.images.items()],
            "peak_matmul_rates": {precision: rate.to_dict() for precision, rate in self.peak_matmul_rates.items()},
            "eager_ms": [{"size_hw": list(size), **summary.to_dict()} for size, summary in self.eager_ms.items()],
            "measurements": [measurement.to_dict() for measurement in self.measurements],
            "skipped": [
                {
                    "model": configuration.model,
                    "engine": configuration.engine,
                    "precision": configuration.precision,
                    "image_size_hw": list(configuration.image_size_hw),
                    "reason": reason,
                }
                for configuration, reason in self.skipped
            ],
            "unmeasured": list(self.unmeasured),
            "warnings": list(self.warnings),
            "files": [str(path) for path in self.files],
            "complete": self.complete,
        }


def _optional(summary: Summary | None, digits: int = 4) -> dict[str, float] | None:
    return None if summary is None else summary.to_dict(digits)


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(share, 4)

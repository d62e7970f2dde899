"""What a benchmark found: figures for each configuration, and what they are to be held against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rapidseg.benchmarking.accuracy import Accuracy
from rapidseg.benchmarking.complexity import Complexity
from rapidseg.benchmarking.configuration import Configuration
from rapidseg.benchmarking.summary import Summary


@dataclass(frozen=True)
class Measurement:
    """What was measured of one configuration.

    Attributes:
        configuration: what was asked for.
        engine, precision, device, choice: what `load` took, and its reason.
        input_size_hw: at which size the network saw the images.
        stages_ms: milliseconds of a batch by stage, in the order of their work.
        path_ms: from images in memory to class maps in memory.
        with_io_ms: from files to files, one stage after the other.
        stream_frames_per_s: of `Segmenter.stream` with writing in threads, from files to files; None for batches.
        peak_memory_bytes, peak_gpu_memory_bytes: the most that the process held; None where unknown.
        complexity: size and work of the network for one image.
        matrix_share: rate of the network in parts of the rate of a matrix product in the same precision; None where
            there is no such rate.
        round_drift: how far the rounds' medians of `path_ms` lie apart, as a share of their median.
        accuracy: None where nobody measured it.
        speed_up: how many times longer plain PyTorch takes, pair by pair; None where it was not asked.
    """

    configuration: Configuration
    engine: str
    precision: str
    device: str
    choice: str
    input_size_hw: tuple[int, int]
    stages_ms: Mapping[str, Summary]
    path_ms: Summary
    with_io_ms: Summary
    stream_frames_per_s: Summary | None
    peak_memory_bytes: int | None
    peak_gpu_memory_bytes: int | None
    complexity: Complexity
    matrix_share: float | None
    round_drift: float
    accuracy: Accuracy | None
    speed_up: Summary | None

    @property
    def frames_per_s(self) -> Summary:
        """Images a second, memory to memory."""
        return self.path_ms.rate(self.configuration.batch)

    @property
    def frames_per_s_with_io(self) -> Summary:
        """Images a second, from files to files, one stage after the other."""
        return self.with_io_ms.rate(self.configuration.batch)

    @property
    def network_operations_per_s(self) -> float:
        """Multiplications and additions a second in the network, at the median of its time."""
        operations = 2 * self.complexity.multiply_accumulates * self.configuration.batch
        return 1e3 * operations / self.stages_ms["network"].median

    def to_dict(self) -> dict[str, Any]:
        """Returns everything for JSON."""
        return {
            "model": self.configuration.model,
            "engine": self.engine,
            "precision": self.precision,
            "device": self.device,
            "choice": self.choice,
            "image_size_hw": list(self.configuration.image_size_hw),
            "input_size_hw": list(self.input_size_hw),
            "batch": self.configuration.batch,
            "stages_ms": {stage: spread.to_dict() for stage, spread in self.stages_ms.items()},
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
            "matrix_share": None if self.matrix_share is None else round(self.matrix_share, 4),
            "round_drift": round(self.round_drift, 4),
            "mean_iou": None if self.accuracy is None else self.accuracy.mean_iou,
            "mean_iou_source": None if self.accuracy is None else self.accuracy.source,
            "speed_up": _optional(self.speed_up),
        }


@dataclass(frozen=True)
class MatrixRate:
    """Multiplications and additions a second of a large matrix product: what the machine does at most.

    Attributes:
        operations_per_s: in OpenVINO.
        numpy_operations_per_s: the same in NumPy, to compare; None but for float32.
    """

    operations_per_s: Summary
    numpy_operations_per_s: Summary | None

    @property
    def highest(self) -> float:
        """The larger median."""
        rates = [rate.median for rate in (self.operations_per_s, self.numpy_operations_per_s) if rate is not None]
        return max(rates)

    def to_dict(self) -> dict[str, Any]:
        """Returns everything for JSON."""
        return {
            "operations_per_s": self.operations_per_s.to_dict(0),
            "numpy_operations_per_s": _optional(self.numpy_operations_per_s, 0),
        }


@dataclass(frozen=True)
class BenchmarkReport:
    """What a benchmark found.

    Attributes:
        measurements: in the order of models, engines, precisions and sizes.
        left_out: configurations that cannot run here, with the reason.
        matrix_rates: by precision.
        eager_ms: plain PyTorch, memory to memory, by image size.
        images: for each size, the file that was decoded.
        rounds, seconds: how often each had its turn, and about how long.
        machine: what it ran on.
    """

    measurements: tuple[Measurement, ...]
    left_out: tuple[tuple[Configuration, str], ...]
    matrix_rates: Mapping[str, MatrixRate]
    eager_ms: Mapping[tuple[int, int], Summary]
    images: Mapping[tuple[int, int], str]
    rounds: int
    seconds: float
    machine: Mapping[str, Any]

    @property
    def noise(self) -> float:
        """The largest drift between rounds of any configuration: differences below it mean nothing."""
        return max(measurement.round_drift for measurement in self.measurements)

    def to_dict(self) -> dict[str, Any]:
        """Returns everything for JSON."""
        return {
            "machine": dict(self.machine),
            "rounds": self.rounds,
            "seconds": self.seconds,
            "noise": round(self.noise, 4),
            "images": [{"size_hw": list(size_hw), "file": file} for size_hw, file in self.images.items()],
            "matrix_rates": {precision: rate.to_dict() for precision, rate in self.matrix_rates.items()},
            "eager_ms": [{"size_hw": list(size), **spread.to_dict()} for size, spread in self.eager_ms.items()],
            "measurements": [measurement.to_dict() for measurement in self.measurements],
            "left_out": [
                {
                    "model": configuration.model,
                    "engine": configuration.engine,
                    "precision": configuration.precision,
                    "image_size_hw": list(configuration.image_size_hw),
                    "reason": reason,
                }
                for configuration, reason in self.left_out
            ],
        }


def _optional(spread: Summary | None, digits: int = 4) -> dict[str, float] | None:
    return None if spread is None else spread.to_dict(digits)

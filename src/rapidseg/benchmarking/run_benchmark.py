"""`run_benchmark`: configurations, each in its own process, measured in alternation."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from rapidseg.benchmarking.accuracy import Accuracy, LabeledData, stated_accuracy
from rapidseg.benchmarking.benchmark_report import BenchmarkReport, Measurement, PeakMatmulRate
from rapidseg.benchmarking.configuration import Configuration
from rapidseg.benchmarking.input_images import image_of_size
from rapidseg.benchmarking.interleaving import Samples, pooled, run_interleaved
from rapidseg.benchmarking.peak_matmul import OPERATIONS
from rapidseg.benchmarking.process import MeasuringProcess, start_processes
from rapidseg.benchmarking.summary import Summary, between_round_drift
from rapidseg.benchmarking.workload import STAGES
from rapidseg.core.errors import InputError
from rapidseg.core.progress import SILENT, Progress, counter
from rapidseg.core.sizes import SizeHW
from rapidseg.core.spec import ModelSpec
from rapidseg.runtime.onnx_complexity import count_onnx_complexity
from rapidseg.system.machine import find_machine


@dataclass(frozen=True)
class BenchmarkPlan:
    """What to measure: every model in every engine, precision and size.

    Attributes:
        models: models as `rapidseg.load` accepts them.
        image: a file; it is resized to each size.
        rounds: how many times each configuration is measured.
        seconds: approximate time per round for the path from memory to memory; files take half of it, the stream twice.
        data: labeled images to measure mIoU on.
        checkpoint: the weights of all models, to run as the baseline in eager PyTorch.
    """

    models: tuple[str, ...]
    engines: tuple[str, ...]
    precisions: tuple[str, ...]
    sizes_hw: tuple[SizeHW, ...]
    image: Path
    device: str = "auto"
    batch: int = 1
    rounds: int = 5
    seconds: float = 0.5
    data: LabeledData | None = None
    checkpoint: Path | None = None

    def configurations(self) -> list[Configuration]:
        """Returns every combination, in order."""
        return [
            Configuration(model, engine, precision, self.device, size_hw, size_hw, self.batch)
            for model, engine, precision, size_hw in product(self.models, self.engines, self.precisions, self.sizes_hw)
        ]


def run_benchmark(plan: BenchmarkPlan, *, progress: Progress = SILENT) -> BenchmarkReport:
    """Measures every configuration of a plan that can run here.

    Raises:
        EngineError: no configuration can run here.
        InputError: the checkpoint and a model hold different weights.
        RapidSegError: a model or image cannot be read, or a process exited.
        ModuleNotFoundError: the comparison with PyTorch needs a package that is not installed.
    """
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rapidseg-benchmark-")))
        images = {size_hw: image_of_size(plan.image, size_hw, scratch) for size_hw in plan.sizes_hw}
        processes, skipped = start_processes(plan.configurations(), images, stack, scratch=scratch, progress=progress)
        precisions = {process.description["precision"] for process in processes.values()}
        on_cpu = all(process.description["device"] == "cpu" for process in processes.values())
        products = {
            precision: stack.enter_context(MeasuringProcess("matmul", precision=precision, device="cpu"))
            for precision in sorted(precisions)
            if on_cpu
        }
        eager = _start_eager(plan, images, processes, stack)
        workloads: dict[Any, MeasuringProcess] = {**processes, **products, **eager}
        rounds = run_interleaved(
            workloads, rounds=plan.rounds, seconds=plan.seconds, progress=counter(progress, "measuring")
        )
        rates = {precision: _peak_matmul_rate(rounds[precision]) for precision in products}
        measurements = []
        warnings: dict[str, None] = {}  # each once, in order
        for configuration, process in processes.items():
            memory = process.memory()  # before labeled images are read
            accuracy = _accuracy(plan.data, configuration, process, warnings, progress)
            pairs = rounds.get(configuration.image_size_hw)
            measurements.append(
                _measurement(configuration, process.description, rounds[configuration], memory, rates, accuracy, pairs)
            )
    return BenchmarkReport(
        measurements=tuple(measurements),
        skipped=tuple(skipped),
        peak_matmul_rates=rates,
        eager_ms={size_hw: Summary.of(pooled(rounds[size_hw], "path")) for size_hw in eager},
        images={size_hw: path.name if path.parent == scratch else str(path) for size_hw, path in images.items()},
        rounds=plan.rounds,
        seconds=plan.seconds,
        machine=find_machine().to_dict(),
        warnings=tuple(warnings),
    )


def _start_eager(
    plan: BenchmarkPlan,
    images: Mapping[SizeHW, Path],
    processes: Mapping[Configuration, MeasuringProcess],
    stack: ExitStack,
) -> dict[SizeHW, MeasuringProcess]:
    if plan.checkpoint is None:
        return {}
    eager = {
        size_hw: stack.enter_context(
            MeasuringProcess("eager", checkpoint=str(plan.checkpoint), image=str(image), device=plan.device)
        )
        for size_hw, image in images.items()
    }
    checksum = next(iter(eager.values())).description["checksum"]
    for configuration, process in processes.items():
        model_checksum = process.description["spec"]["checksum"]
        if model_checksum != checksum:
            raise InputError(
                f"{configuration.model} and {plan.checkpoint} hold different weights (checksums "
                f"{str(model_checksum)[:12]} and {checksum[:12]}); pass the checkpoint that the model was exported from"
            )
    return eager


def _accuracy(
    data: LabeledData | None,
    configuration: Configuration,
    process: MeasuringProcess,
    warnings: dict[str, None],
    progress: Progress,
) -> Accuracy | None:
    """Returns the mIoU, measured or stated; adds the warnings about it."""
    if data is None:
        return stated_accuracy(ModelSpec.model_validate(process.description["spec"]), configuration)
    score = process.score(data, counter(progress, f"scoring {configuration.label}"))
    warnings.update(dict.fromkeys(score.warnings))
    return Accuracy(score.mean_iou, f"measured: {score.data}, {score.num_images} images")


def _peak_matmul_rate(rounds: list[Samples]) -> PeakMatmulRate:
    numpy_ms = pooled(rounds, "numpy")
    return PeakMatmulRate(
        Summary.of(pooled(rounds, "openvino")).rate(OPERATIONS),
        Summary.of(numpy_ms).rate(OPERATIONS) if numpy_ms else None,
    )


def _measurement(
    configuration: Configuration,
    description: Mapping[str, Any],
    rounds: list[Samples],
    memory: Mapping[str, int | None],
    rates: Mapping[str, PeakMatmulRate],
    accuracy: Accuracy | None,
    eager_rounds: list[Samples] | None,
) -> Measurement:
    height, width = description["input_size_hw"]
    complexity = count_onnx_complexity(description["path"], (height, width))
    stages_ms = {stage: Summary.of(pooled(rounds, stage)) for stage in STAGES}
    medians = [Summary.of(samples["path"]).median for samples in rounds]
    operations = 2 * complexity.multiply_accumulates * configuration.batch
    rate = rates.get(description["precision"])
    streams = pooled(rounds, "stream_frames_per_s")
    speed_up = None
    if eager_rounds is not None:
        eager_medians = [Summary.of(samples["path"]).median for samples in eager_rounds]
        pairs = zip(eager_medians, medians, strict=True)
        speed_up = Summary.of([configuration.batch * eager_ms / own_ms for eager_ms, own_ms in pairs])
    return Measurement(
        configuration=configuration,
        engine=description["engine"],
        precision=description["precision"],
        device=description["device"],
        choice=description["choice"],
        input_size_hw=(height, width),
        stages_ms=stages_ms,
        path_ms=Summary.of(pooled(rounds, "path")),
        with_io_ms=Summary.of(pooled(rounds, "with_io")),
        stream_frames_per_s=Summary.of(streams) if streams else None,
        peak_memory_bytes=memory["peak_bytes"],
        peak_gpu_memory_bytes=memory["peak_gpu_bytes"],
        complexity=complexity,
        peak_matmul_share=None if rate is None else 1e3 * operations / stages_ms["network"].median / rate.highest,
        between_round_drift=between_round_drift(medians),
        accuracy=accuracy,
        speed_up=speed_up,
    )

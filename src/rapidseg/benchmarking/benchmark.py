"""`run_benchmark`: configurations in processes of their own, measured in turns."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from rapidseg.benchmarking.accuracy import Accuracy, LabeledData, stated_accuracy
from rapidseg.benchmarking.complexity import count_complexity
from rapidseg.benchmarking.configuration import Configuration
from rapidseg.benchmarking.interleaving import Samples, pooled, run_interleaved
from rapidseg.benchmarking.opening import Progress, image_of_size, open_all
from rapidseg.benchmarking.peak_matmul import OPERATIONS
from rapidseg.benchmarking.process import MeasuringProcess
from rapidseg.benchmarking.report import BenchmarkReport, MatrixRate, Measurement
from rapidseg.benchmarking.summary import Summary, drift
from rapidseg.benchmarking.workload import STAGES
from rapidseg.core.errors import InputError
from rapidseg.core.spec import ModelSpec
from rapidseg.system.machine import find_machine


@dataclass(frozen=True)
class Plan:
    """What to measure: every model in every engine, precision and size.

    Attributes:
        models: what `rapidseg.load` takes.
        image: a file; it is resized to each size.
        rounds: how often each configuration has its turn.
        seconds: how long about a turn measures the path from memory to memory; files take half of it, the stream twice.
        data: labeled images to measure mIoU on.
        checkpoint: the weights of all models, to run in plain PyTorch beside them.
    """

    models: tuple[str, ...]
    engines: tuple[str, ...]
    precisions: tuple[str, ...]
    sizes_hw: tuple[tuple[int, int], ...]
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


def run_benchmark(plan: Plan, *, progress: Progress = lambda what, done, total: None) -> BenchmarkReport:
    """Measures everything that a plan asks for and that can run here.

    Raises:
        EngineError: nothing can run here.
        InputError: the checkpoint has other weights than a model.
        RapidSegError: a model or image cannot be read, or a process died.
        ModuleNotFoundError: the comparison with PyTorch needs a package that is not installed.
    """
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rapidseg-benchmark-")))
        images = {size_hw: image_of_size(plan.image, size_hw, scratch) for size_hw in plan.sizes_hw}
        processes, left_out = open_all(plan.configurations(), images, stack, scratch=scratch, progress=progress)
        precisions = {process.description["precision"] for process in processes.values()}
        on_cpu = all(process.description["device"] == "cpu" for process in processes.values())
        products = {
            precision: stack.enter_context(MeasuringProcess("matrix_product", precision=precision, device="cpu"))
            for precision in sorted(precisions)
            if on_cpu
        }
        eager = _open_eager(plan, images, processes, stack)
        workloads: dict[Any, MeasuringProcess] = {**processes, **products, **eager}
        rounds = run_interleaved(
            workloads,
            rounds=plan.rounds,
            seconds=plan.seconds,
            progress=lambda done, total: progress("measuring", done, total),
        )
        rates = {precision: _matrix_rate(rounds[precision]) for precision in products}
        measurements = []
        for configuration, process in processes.items():
            memory = process.memory()  # before labeled images are read
            accuracy = _accuracy(plan.data, configuration, process, progress)
            pairs = rounds.get(configuration.image_size_hw)
            measurements.append(
                _measurement(configuration, process.description, rounds[configuration], memory, rates, accuracy, pairs)
            )
    return BenchmarkReport(
        measurements=tuple(measurements),
        left_out=tuple(left_out),
        matrix_rates=rates,
        eager_ms={size_hw: Summary.of(pooled(rounds[size_hw], "path")) for size_hw in eager},
        images={size_hw: path.name if path.parent == scratch else str(path) for size_hw, path in images.items()},
        rounds=plan.rounds,
        seconds=plan.seconds,
        machine=find_machine().to_dict(),
    )


def _open_eager(
    plan: Plan,
    images: Mapping[tuple[int, int], Path],
    processes: Mapping[Configuration, MeasuringProcess],
    stack: ExitStack,
) -> dict[tuple[int, int], MeasuringProcess]:
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
        own = process.description["spec"]["checksum"]
        if own != checksum:
            raise InputError(
                f"{configuration.model} was made of other weights than {plan.checkpoint} (checksums {str(own)[:12]} "
                f"and {checksum[:12]}); compare a model with the checkpoint that it was exported from"
            )
    return eager


def _accuracy(
    data: LabeledData | None, configuration: Configuration, process: MeasuringProcess, progress: Progress
) -> Accuracy | None:
    if data is None:
        return stated_accuracy(ModelSpec.model_validate(process.description["spec"]), configuration)
    title = f"scoring {configuration.name} {configuration.engine} {configuration.precision}"
    score = process.evaluate(
        data=data.data,
        root=data.root,
        split=data.split,
        mapping=data.mapping,
        progress=lambda done, total: progress(title, done, total),
    )
    return Accuracy(score["mean_iou"], f"measured: {score['dataset']} {score['split']}, {score['num_images']} images")


def _matrix_rate(rounds: list[Samples]) -> MatrixRate:
    numpy_ms = pooled(rounds, "numpy")
    return MatrixRate(
        Summary.of(pooled(rounds, "openvino")).rate(OPERATIONS),
        Summary.of(numpy_ms).rate(OPERATIONS) if numpy_ms else None,
    )


def _measurement(
    configuration: Configuration,
    description: Mapping[str, Any],
    rounds: list[Samples],
    memory: Mapping[str, int | None],
    rates: Mapping[str, MatrixRate],
    accuracy: Accuracy | None,
    eager_rounds: list[Samples] | None,
) -> Measurement:
    height, width = description["input_size_hw"]
    complexity = count_complexity(description["path"], (height, width))
    stages_ms = {stage: Summary.of(pooled(rounds, stage)) for stage in STAGES}
    medians = [Summary.of(samples["path"]).median for samples in rounds]
    operations = 2 * complexity.multiply_accumulates * configuration.batch
    rate = rates.get(description["precision"])
    streams = pooled(rounds, "stream_frames_per_s")
    speed_up = None
    if eager_rounds is not None:
        theirs = [Summary.of(samples["path"]).median for samples in eager_rounds]
        speed_up = Summary.of([configuration.batch * their / our for their, our in zip(theirs, medians, strict=True)])
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
        matrix_share=None if rate is None else 1e3 * operations / stages_ms["network"].median / rate.highest,
        round_drift=drift(medians),
        accuracy=accuracy,
        speed_up=speed_up,
    )

"""`run_tuning`: measures engines, precisions and input sizes on this device, and selects by a target."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import product
from pathlib import Path

from rapidseg import __version__
from rapidseg.benchmarking.accuracy import LabeledData
from rapidseg.benchmarking.configuration import Configuration
from rapidseg.benchmarking.input_images import image_of_size
from rapidseg.benchmarking.interleaving import pooled, run_interleaved
from rapidseg.benchmarking.process import MeasuringProcess, start_processes
from rapidseg.benchmarking.summary import Summary
from rapidseg.benchmarking.trial_selection import Target, Trial, TuningResult, select
from rapidseg.core.errors import InputError
from rapidseg.core.progress import SILENT, Progress, counter
from rapidseg.core.sizes import SizeHW
from rapidseg.runtime.tuned_file import TunedFigures, TunedMachine, TunedModel, file_sha256, relative_model
from rapidseg.system.machine import find_machine


def run_tuning(
    configurations: list[Configuration],
    image: Path,
    target: Target,
    data: LabeledData | None = None,
    *,
    rounds: int = 3,
    seconds: float = 0.5,
    progress: Progress = SILENT,
) -> TuningResult:
    """Measures configurations and selects one by a target.

    Speed is that of the whole path, from an image in memory to its class map in memory. mIoU is measured for every
    configuration that is fast enough.

    Args:
        configurations: what to try; all with images of the same size.
        image: a file; it is resized to that size.
        target: what the selected configuration must reach.
        data: labeled images to measure mIoU on.
        rounds: how many times each configuration is measured.
        seconds: approximate length of a measurement.
        progress: told about each step.

    Raises:
        InputError: the target is empty, or has a mIoU but no data to measure it on.
        EngineError: no configuration can run here.
        RapidSegError: a model, the image or the data cannot be read.
    """
    check_target(target, data)
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rapidseg-tune-")))
        size_hw = configurations[0].image_size_hw
        images = {size_hw: image_of_size(image, size_hw, scratch)}
        processes, skipped = start_processes(configurations, images, stack, scratch=None, progress=progress)
        samples = run_interleaved(processes, rounds=rounds, seconds=seconds, progress=counter(progress, "measuring"))
        trials = [
            _trial(configuration, process, Summary.of(pooled(samples[configuration], "path")))
            for configuration, process in processes.items()
        ]
        warnings: dict[str, None] = {}  # each once, in order
        if data is not None:
            trials = [
                _scored(trial, processes[trial.configuration], data, warnings, progress)
                if target.is_fast_enough(trial)
                else trial
                for trial in trials
            ]
    trials.sort(key=lambda trial: trial.path_ms.median)
    best, is_met, reason = select(trials, target)
    return TuningResult(target, tuple(trials), tuple(skipped), best, is_met, reason, tuple(warnings))


def check_target(target: Target, data: LabeledData | None) -> None:
    """Raises `InputError` for an empty target, or one whose mIoU cannot be measured."""
    if target.min_fps is None and target.min_miou is None:
        raise InputError("set a target: --min-fps, or --min-miou with --data (min_fps=, min_miou=, data= in Python)")
    if target.min_miou is not None and data is None:
        raise InputError("--min-miou needs --data to measure it on (min_miou=, data= in Python)")


def combinations(
    models: Sequence[str],
    engines: Sequence[str],
    precisions: Sequence[str],
    input_sides: Sequence[int | None],
    image_size_hw: SizeHW,
    device: str,
) -> list[Configuration]:
    """Returns every combination; input sizes are shorter sides."""
    return [
        Configuration(model, engine, precision, device, image_size_hw, side)
        for model, engine, precision, side in product(models, engines, precisions, input_sides)
    ]


def to_tuned_model(result: TuningResult, file: Path) -> TunedModel:
    """Returns the content of a tuned file, to be written as `file`, for the selected trial."""
    best, machine = result.best, find_machine()
    side = best.configuration.input_size
    assert side is None or isinstance(side, int)  # as `combinations` makes them
    return TunedModel(
        rapidseg=__version__,
        model=relative_model(best.configuration.model, best.path, file),
        sha256=file_sha256(best.path),
        engine=best.engine,
        precision=best.precision,
        device=best.device,
        input_short_side=side,
        measured=TunedFigures(
            image_size_hw=best.configuration.image_size_hw,
            path_ms=round(best.path_ms.median, 3),
            path_ms_p5=round(best.path_ms.p5, 3),
            path_ms_p95=round(best.path_ms.p95, 3),
            frames_per_s=round(best.frames_per_s, 2),
            mean_iou=best.mean_iou,
            data=best.data,
        ),
        machine=TunedMachine(cpu=machine.cpu, cpus=machine.cpus, system=machine.system),
    )


def _trial(configuration: Configuration, process: MeasuringProcess, path_ms: Summary) -> Trial:
    description = process.description
    height, width = description["input_size_hw"]
    return Trial(
        configuration=configuration,
        engine=description["engine"],
        precision=description["precision"],
        device=description["device"],
        path=Path(description["path"]),
        input_size_hw=(height, width),
        path_ms=path_ms,
    )


def _scored(
    trial: Trial, process: MeasuringProcess, data: LabeledData, warnings: dict[str, None], progress: Progress
) -> Trial:
    """Returns the trial with its mIoU; adds the warnings about it."""
    score = process.score(data, counter(progress, f"scoring {trial.configuration.label}"))
    warnings.update(dict.fromkeys(score.warnings))
    return replace(trial, mean_iou=score.mean_iou, data=score.data)

"""`tune`: the engine, precision and input size that fit a wish on this device."""

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
from rapidseg.benchmarking.interleaving import pooled, run_interleaved
from rapidseg.benchmarking.opening import Progress, image_of_size, open_all
from rapidseg.benchmarking.process import MeasuringProcess
from rapidseg.benchmarking.selection import Target, Trial, Tuning, choose
from rapidseg.benchmarking.summary import Summary
from rapidseg.core.errors import InputError
from rapidseg.runtime.tuned_file import TunedFigures, TunedMachine, TunedModel, file_sha256, relative_model
from rapidseg.system.machine import find_machine


def tune(
    configurations: list[Configuration],
    image: Path,
    wish: Target,
    data: LabeledData | None = None,
    *,
    rounds: int = 3,
    seconds: float = 0.5,
    progress: Progress = lambda what, done, total: None,
) -> Tuning:
    """Measures configurations and takes the one that fits a wish.

    Speed is that of the whole path, from an image in memory to its class map in memory. mIoU is measured for
    everything that is fast enough.

    Args:
        configurations: what to try; all with one size of images.
        image: a file; it is resized to that size.
        wish: what is wanted.
        data: labeled images to measure mIoU on.
        rounds: how often each has its turn.
        seconds: how long about a turn is.
        progress: called with what is done, and how far.

    Raises:
        InputError: nothing is wished for, or a mIoU without data to measure it on.
        EngineError: nothing can run here.
        RapidSegError: a model, the image or the data cannot be read.
    """
    if wish.min_fps is None and wish.min_miou is None:
        raise InputError("nothing is wished for; give --min-fps, or --min-miou with --data")
    if wish.min_miou is not None and data is None:
        raise InputError("a mIoU must be measured to be wished for; give --data, too")
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rapidseg-tune-")))
        size_hw = configurations[0].image_size_hw
        images = {size_hw: image_of_size(image, size_hw, scratch)}
        processes, left_out = open_all(configurations, images, stack, scratch=None, progress=progress)
        samples = run_interleaved(
            processes,
            rounds=rounds,
            seconds=seconds,
            progress=lambda done, total: progress("measuring", done, total),
        )
        tries = [
            _as_try(configuration, process, Summary.of(pooled(samples[configuration], "path")))
            for configuration, process in processes.items()
        ]
        if data is not None:
            tries = [
                _scored(one, processes[one.configuration], data, progress) if wish.fast_enough(one) else one
                for one in tries
            ]
    tries.sort(key=lambda one: one.path_ms.median)
    best, granted, reason = choose(tries, wish)
    return Tuning(wish, tuple(tries), tuple(left_out), best, granted, reason)


def combinations(
    models: Sequence[str],
    engines: Sequence[str],
    precisions: Sequence[str],
    input_sides: Sequence[int | None],
    image_size_hw: tuple[int, int],
    device: str,
) -> list[Configuration]:
    """Returns every combination, the input sizes as shorter sides."""
    return [
        Configuration(model, engine, precision, device, image_size_hw, side)
        for model, engine, precision, side in product(models, engines, precisions, input_sides)
    ]


def as_tuned(tuning: Tuning, file: Path) -> TunedModel:
    """Returns what a tuned file, to be written as `file`, says of the choice."""
    best, machine = tuning.best, find_machine()
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


def _as_try(configuration: Configuration, process: MeasuringProcess, path_ms: Summary) -> Trial:
    found = process.description
    height, width = found["input_size_hw"]
    return Trial(
        configuration=configuration,
        engine=found["engine"],
        precision=found["precision"],
        device=found["device"],
        path=Path(found["path"]),
        input_size_hw=(height, width),
        path_ms=path_ms,
    )


def _scored(one: Trial, process: MeasuringProcess, data: LabeledData, progress: Progress) -> Trial:
    score = process.evaluate(
        data=data.data,
        root=data.root,
        split=data.split,
        mapping=data.mapping,
        progress=lambda done, total: progress("scoring", done, total),
    )
    return replace(one, mean_iou=score["mean_iou"], data=f"{score['dataset']} {score['split']}")

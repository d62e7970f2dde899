"""`benchmark`: how fast models are on this machine, stage by stage."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rapidseg.core.arguments import as_paths
from rapidseg.core.choices import Baseline, ClassMappingName, EngineName, PrecisionName
from rapidseg.core.errors import InputError
from rapidseg.core.files import check_output_folder
from rapidseg.core.progress import SILENT, Progress
from rapidseg.core.sizes import SizeHW, SizeLike, to_sizes
from rapidseg.workflows.arguments import TEXT, checked
from rapidseg.workflows.model_cache import link_model_files

if TYPE_CHECKING:
    from rapidseg.benchmarking.benchmark_report import BenchmarkReport

ModelPath = str | os.PathLike[str]

DEFAULT_SIZES: tuple[SizeHW, ...] = ((1024, 2048), (512, 1024))
REPORT_NAME = "benchmark.json"


@checked(
    *("models", "engines", "precisions", "image_sizes", "device", "batch", "image", "rounds", "seconds"),
    *("data", "root", "split", "class_mapping", "checkpoint", "output", "download", "progress"),
    baseline=TEXT,
)
def benchmark(
    models: ModelPath | Sequence[ModelPath] | None = None,
    *,
    engines: str | Sequence[EngineName] | None = None,
    precisions: str | Sequence[PrecisionName] | None = None,
    image_sizes: SizeLike | Sequence[SizeLike] = DEFAULT_SIZES,
    device: str = "auto",
    batch: int = 1,
    image: str | os.PathLike[str] | None = None,
    rounds: int = 5,
    seconds: float = 0.5,
    data: str | os.PathLike[str] | None = None,
    root: str | os.PathLike[str] | None = None,
    split: str = "val",
    class_mapping: ClassMappingName | None = None,
    baseline: Baseline | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    output: str | os.PathLike[str] | None = None,
    download: bool = True,
    progress: Progress = SILENT,
) -> BenchmarkReport:
    """Measures every model in every engine, precision and size that this machine can run.

    Each configuration runs in its own process, and all are measured in alternation, so that they can be compared on a
    shared machine.

    Args:
        models: model files (.onnx), checkpoints, or names of built-in and published models; None: the built-in
            Fast-SCNN. With `baseline`, a single checkpoint is exported for the run.
        engines: names, as a sequence or as comma-separated text; None: all that can run here.
        precisions: names, as a sequence or as comma-separated text; None: all that can run here.
        image_sizes: sizes of the images, which are also the sizes at which the network sees them: (height, width),
            `HxW`, or several of these.
        device: "auto", "cpu", "cuda", or another that an engine supports.
        batch: images that go through the network at once.
        image: the image file to segment, resized to each size; None: the built-in sample.
        rounds: how many times each configuration is measured.
        seconds: approximate time per round for the path from memory to memory; files take half of it, the stream twice.
        data: labeled images to measure mIoU on, as for `evaluate`; None: the report has only scores that a model file
            states.
        root: the data set's folder, as for `evaluate`.
        split: the split to score.
        class_mapping: how to count the model's classes as those of the data; None: by their names.
        baseline: "eager": also measure eager PyTorch with the same weights, in alternation.
        checkpoint: with `baseline`: the checkpoint that the models were exported from.
        output: a folder for the report as JSON and for a plot of speed against mIoU; None writes nothing.
        download: whether weights that are not on disk may be downloaded.
        progress: told about each step.

    Raises:
        InputError: a name or a size is not allowed, or a model and the checkpoint hold different weights.
        EngineError: no configuration can run here.
        RapidSegError: a model, the image or the data cannot be read, or a measuring process exited.
        ModuleNotFoundError: the baseline needs a package that is not installed.
    """
    from rapidseg.benchmarking.accuracy import LabeledData
    from rapidseg.benchmarking.configuration import installed_engines, parse_names
    from rapidseg.benchmarking.run_benchmark import BenchmarkPlan, run_benchmark
    from rapidseg.runtime.engines import ENGINES, PRECISIONS
    from rapidseg.runtime.model_file import SAMPLE_IMAGE

    results = None if output is None else check_output_folder(output)
    with ExitStack() as stack:
        names, weights = _with_baseline(as_model_list(models), baseline, checkpoint, stack, progress)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rapidseg-models-")))
        names = link_model_files(names, folder, download=download, progress=progress)
        plan = BenchmarkPlan(
            models=names,
            engines=installed_engines(device) if engines is None else parse_names(engines, "engine", ENGINES),
            precisions=PRECISIONS if precisions is None else parse_names(precisions, "precision", PRECISIONS),
            sizes_hw=to_sizes(image_sizes, "image_sizes"),
            image=SAMPLE_IMAGE if image is None else Path(image),
            device=device,
            batch=batch,
            rounds=rounds,
            seconds=seconds,
            data=LabeledData.from_paths(data, root, split, class_mapping),
            checkpoint=weights,
        )
        report = run_benchmark(plan, progress=progress)
    measured = {measurement.engine for measurement in report.measurements}
    measured |= {measurement.precision for measurement in report.measurements}
    requested = (*(() if engines is None else plan.engines), *(() if precisions is None else plan.precisions))
    unmeasured = tuple(name for name in requested if name not in measured)
    report = replace(report, unmeasured=unmeasured, complete=not unmeasured)
    return report if results is None else _write(report, results)


def as_model_list(models: ModelPath | Sequence[ModelPath] | None) -> tuple[str, ...]:
    """Returns the models as texts; None and an empty sequence are the built-in Fast-SCNN."""
    from rapidseg.runtime.model_file import BUILT_IN_MODELS

    return (None if models is None else as_paths("models", models)) or BUILT_IN_MODELS[:1]


def _with_baseline(
    models: tuple[str, ...],
    baseline: str | None,
    checkpoint: str | os.PathLike[str] | None,
    stack: ExitStack,
    progress: Progress,
) -> tuple[tuple[str, ...], Path | None]:
    """Returns the models to measure, and the baseline's checkpoint; exports the checkpoint if it is the only model."""
    if baseline is None:
        if checkpoint is not None:
            raise InputError(
                "--checkpoint needs --baseline eager, the only comparison that uses it (checkpoint=, baseline= in "
                "Python)"
            )
        return models, None
    if baseline != "eager":
        raise InputError(f"unknown baseline {baseline!r}; allowed: eager (PyTorch without compilation)")
    if checkpoint is not None:
        return models, Path(checkpoint)
    if len(models) != 1 or models[0].endswith(".onnx") or not Path(models[0]).is_file():
        raise InputError(
            "--baseline eager needs the checkpoint with the same weights: pass it in place of the model (it is "
            "exported for the run), or with --checkpoint (checkpoint= in Python)"
        )
    from rapidseg.exporting import export_onnx
    from rapidseg.importing import load_checkpoint

    source = Path(models[0])
    model = load_checkpoint(source)
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="rapidseg-export-"))
    progress.message(f"exporting {source.name} for this run")
    exported = export_onnx(model, model.spec, Path(folder) / f"{source.stem}.onnx", check_sizes=[(97, 161)])
    return (str(exported.path),), source


def _write(report: BenchmarkReport, folder: Path) -> BenchmarkReport:
    """Writes plot and JSON document; returns the report with the files, and with what the plot lacks."""
    from rapidseg.benchmarking.plot import plot_speed_accuracy
    from rapidseg.core.files import write_text
    from rapidseg.core.import_errors import dependency_error

    files, warnings, complete = [folder / REPORT_NAME], list(report.warnings), report.complete
    try:
        plots = plot_speed_accuracy(report.measurements, folder)
    except Exception as error:  # broken packages raise errors of any type
        problem = dependency_error(error, "report")
        if problem is None:
            raise
        complete = False
        warnings.append(f"plot skipped: {problem}")
    else:
        files += plots
        unknown = sum(measurement.accuracy is None for measurement in report.measurements)
        if not plots:
            warnings.append(
                "plot skipped: the mIoU of every configuration is unknown; measure it with --data (data= in Python)"
            )
        elif unknown:
            warnings.append(
                f"plot: skipped {unknown} of {len(report.measurements)} configurations, whose mIoU is unknown; measure "
                "it with --data (data= in Python)"
            )
    report = replace(report, files=tuple(files), warnings=tuple(warnings), complete=complete)
    write_text(folder / REPORT_NAME, json.dumps(report.to_dict(), indent=2, allow_nan=False) + "\n")
    return report

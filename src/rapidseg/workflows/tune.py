"""`tune`: the fastest or most accurate configuration for a target, saved for `rapidseg.load`."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rapidseg.core.arguments import number, refusal
from rapidseg.core.choices import ClassMappingName, EngineName, PrecisionName
from rapidseg.core.errors import ConfigError, InputError, ModelFileError
from rapidseg.core.files import check_output_file
from rapidseg.core.progress import SILENT, Progress
from rapidseg.core.report import Report, with_warnings
from rapidseg.core.sizes import InputSize, InputSizeLike, SizeHW, SizeLike, format_size, to_input_sizes, to_size
from rapidseg.core.wording import count_of
from rapidseg.workflows.arguments import checked
from rapidseg.workflows.benchmark import ModelPath, as_model_list
from rapidseg.workflows.model_cache import copy_model_file, link_model_files

if TYPE_CHECKING:
    from rapidseg.benchmarking.accuracy import LabeledData
    from rapidseg.benchmarking.trial_selection import Trial, TuningResult
    from rapidseg.core.spec import ModelSpec

DEFAULT_SHARES = (1, 3 / 4, 1 / 2, 3 / 8, 1 / 4)  # of the images' shorter side: the input sizes that are tried


@dataclass(frozen=True)
class TuningReport(Report):
    """The result of tuning.

    Attributes:
        result: target, trials and selection.
        path: the tuned file, which `rapidseg.load` accepts; None if the target is not met.
    """

    result: TuningResult
    path: Path | None

    @property
    def met(self) -> bool:
        """Whether the best trial meets the target."""
        return self.result.is_met

    @property
    def best(self) -> Trial:
        """The selected trial if the target is met, else the trial that comes closest."""
        return self.result.best

    @property
    def trials(self) -> tuple[Trial, ...]:
        """Every trial, fastest first."""
        return self.result.trials

    @property
    def reason(self) -> str:
        """Why the best trial is the best, in a few words."""
        return self.result.reason

    def headline(self) -> str:
        best = self.best
        score = "" if best.mean_iou is None else f", mIoU {best.mean_iou:.3f}"
        state = "met" if self.met else "not met"
        file = "" if self.path is None else f"; {self.path}"
        tuned = (
            f"target {self.result.target} {state}; {best.configuration.name} {best.engine} {best.precision} at "
            f"{format_size(best.input_size_hw)}: {best.frames_per_s:.1f} FPS{score}; "
            f"{count_of(self.trials, 'trial')}{file}"
        )
        return with_warnings(tuned, self.warnings)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Reasons why the figures mean less than they seem to, in sentences."""
        return self.result.warnings

    def to_dict(self) -> dict[str, Any]:
        """Returns everything for JSON."""
        return {**self.result.to_dict(), "path": None if self.path is None else str(self.path)}


@checked(
    *("models", "data", "root", "split", "class_mapping", "engines", "precisions", "input_sizes", "image"),
    *("image_size", "device", "rounds", "seconds", "output", "download", "progress"),
    min_fps=number(0),
    min_miou=number(0, 1, "; a mIoU is a fraction, so write 50 % as 0.5"),
)
def tune(
    models: ModelPath | Sequence[ModelPath] | None = None,
    *,
    min_fps: float | None = None,
    min_miou: float | None = None,
    data: str | os.PathLike[str] | None = None,
    root: str | os.PathLike[str] | None = None,
    split: str = "val",
    class_mapping: ClassMappingName | None = None,
    engines: str | Sequence[EngineName] | None = None,
    precisions: str | Sequence[PrecisionName] | None = None,
    input_sizes: str | int | Sequence[InputSizeLike] | None = None,
    image: str | os.PathLike[str] | None = None,
    image_size: SizeLike | None = None,
    device: str = "auto",
    rounds: int = 3,
    seconds: float = 0.5,
    output: str | os.PathLike[str] | None = None,
    download: bool = True,
    progress: Progress = SILENT,
) -> TuningReport:
    """Finds the fastest or most accurate configuration for a target, and saves it for `rapidseg.load`.

    With `min_fps`, selects the most accurate configuration that is fast enough; with `min_miou` alone, the fastest that
    is accurate enough. Writes no file if no configuration meets the target.

    Args:
        models: model files (.onnx), checkpoints, or names of built-in and published models, such as a model and its
            INT8 version; None: the built-in Fast-SCNN. If a checkpoint is selected, its model file is
            written beside the tuned file.
        min_fps: target for images per second, from memory to memory.
        min_miou: target for the mIoU, from 0 to 1; needs `data`.
        data: labeled images to measure mIoU on, as for `evaluate`.
        root: the data set's folder, as for `evaluate`.
        split: the split to score.
        class_mapping: how to count the model's classes as those of the data; None: by their names.
        engines: names, as a sequence or as comma-separated text; None: all that can run here.
        precisions: names, as a sequence or as comma-separated text; None: all that can run here.
        input_sizes: sizes at which the network sees the images: shorter sides in pixels, or sizes with the images' own
            aspect ratio as (height, width) or `HxW`; as a sequence or as comma-separated text. None: 1, 3/4, 1/2, 3/8
            and 1/4 of the images' shorter side, and what the models state.
        image: the image file to segment; None: the first image of the data, else the built-in sample.
        image_size: size of the images to tune for, (height, width) or `HxW`; None: the size of `image`.
        device: "auto", "cpu", "cuda", or another that an engine supports.
        rounds: how many times each configuration is measured.
        seconds: approximate length of a measurement.
        output: the file to write, ending in .yaml; None: `MODEL.tuned.yaml` in the current folder.
        download: whether weights that are not on disk may be downloaded.
        progress: told about each step.

    Raises:
        InputError: there is no target, a mIoU but no data, or a name or a size is not allowed.
        EngineError: no configuration can run here.
        RapidSegError: a model, the image or the data cannot be read, or the file cannot be written.
    """
    from rapidseg.benchmarking.accuracy import LabeledData
    from rapidseg.benchmarking.configuration import installed_engines, parse_names
    from rapidseg.benchmarking.run_tuning import check_target, combinations, run_tuning, to_tuned_model
    from rapidseg.benchmarking.trial_selection import Target
    from rapidseg.imaging import read_image
    from rapidseg.runtime.engines import ENGINES, PRECISIONS
    from rapidseg.runtime.tuned_file import write_tuned

    if min_fps == 0:
        raise refusal("min_fps", min_fps, "a number above 0")
    names, target = as_model_list(models), Target(min_fps, min_miou)
    file = _output_file(output, names, data)
    labeled = LabeledData.from_paths(data, root, split, class_mapping)
    check_target(target, labeled)
    image = _first_image(labeled) if image is None else Path(image)
    size_hw = to_size(read_image(image).shape[:2] if image_size is None else image_size, "image_size")
    with tempfile.TemporaryDirectory(prefix="rapidseg-models-") as folder:
        names = link_model_files(names, Path(folder), download=download, progress=progress)
        configurations = combinations(
            names,
            installed_engines(device) if engines is None else parse_names(engines, "engine", ENGINES),
            PRECISIONS if precisions is None else parse_names(precisions, "precision", PRECISIONS),
            _input_sides(input_sizes, names, size_hw),
            size_hw,
            device,
        )
        result = run_tuning(configurations, image, target, labeled, rounds=rounds, seconds=seconds, progress=progress)
        if not result.is_met:
            return TuningReport(result, None)
        tuned = to_tuned_model(result, file)
        if result.best.path.parent == Path(folder):  # made of a checkpoint
            kept = copy_model_file(result.best.path, file.parent / result.best.path.name)
            tuned = tuned.model_copy(update={"model": kept.name})
        write_tuned(file, tuned)
    return TuningReport(result, file)


def _output_file(output: str | os.PathLike[str] | None, models: Sequence[str], data: object) -> Path:
    """Returns the file to write; a name that nobody passed never replaces a file that `rapidseg tune` did not write."""
    from rapidseg.runtime.tuned_file import read_tuned

    if output is not None:
        file = Path(output)
        if file.suffix and file.suffix not in (".yaml", ".yml"):
            raise InputError(
                f"{file}: the name of a tuned file must end in .yaml; use {file.with_suffix('.yaml').name}"
            )
        return check_output_file(output, (".yaml", ".yml"), inputs=(*models, data))
    file = check_output_file(f"{Path(models[0]).stem}.tuned.yaml", (".yaml",), inputs=(*models, data))
    if file.exists():
        try:
            read_tuned(file)
        except ConfigError as error:
            raise InputError(
                f"{file} exists and was not written by `rapidseg tune`; choose the name of the new file: --output FILE "
                "(output= in Python)"
            ) from error
        except ModelFileError:
            pass  # it is a tuned file, whose model is gone or has changed
    return file


def _first_image(labeled: LabeledData | None) -> Path:
    from rapidseg.data import open_layout
    from rapidseg.data.opening import parse_split
    from rapidseg.runtime.model_file import SAMPLE_IMAGE

    if labeled is None:
        return SAMPLE_IMAGE
    layout = open_layout(labeled.data, labeled.root)
    return layout.files(parse_split(layout, labeled.split)[0]).pairs[0].image


def _input_sides(
    sizes: str | int | Sequence[InputSizeLike] | None, models: Sequence[str], image_size_hw: SizeHW
) -> tuple[int, ...]:
    """Returns the shorter sides to try."""
    from rapidseg.imaging import MINIMUM_SIDE
    from rapidseg.runtime.model_file import find_model, read_spec

    specs = [read_spec(find_model(model)) for model in models]
    for model, spec in zip(models, specs, strict=True):
        if spec.static_size is not None:
            raise InputError(
                f"{model} is a static file, whose network sees every image at {format_size(spec.static_size)}; tune a "
                "model that was exported without a static size"
            )
    if sizes is not None:
        return tuple(
            dict.fromkeys(_short_side(size, image_size_hw, specs) for size in to_input_sizes(sizes, "input_sizes"))
        )
    sides = [max(MINIMUM_SIDE, round(share * min(image_size_hw))) for share in DEFAULT_SHARES]
    stated = [spec.input_short_side for spec in specs if spec.input_short_side is not None]
    return tuple(dict.fromkeys([*sides, *stated]))


def _short_side(size: InputSize, image_size_hw: SizeHW, specs: Sequence[ModelSpec]) -> int:
    """Returns an input size as a shorter side, since a tuned file stores no other size.

    Raises:
        InputError: a side is below 32 pixels, or no shorter side leads to the size.
    """
    from rapidseg.imaging import MINIMUM_SIDE, input_size_hw

    side = size if isinstance(size, int) else min(size)
    if side < MINIMUM_SIDE:
        raise InputError(f"input sizes have {MINIMUM_SIDE} pixels or more on the shorter side, not {side}")
    reached = {input_size_hw(image_size_hw, side, spec.stride) for spec in specs}
    if not isinstance(size, int) and reached != {size}:
        raise InputError(
            f"input size {format_size(size)} does not keep the aspect ratio of {format_size(image_size_hw)} images, or "
            f"is not a multiple of the model's stride; pass the shorter side instead, such as {side}"
        )
    return side

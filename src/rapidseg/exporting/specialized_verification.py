"""Verifies that a static file, or one that returns class maps, gives what the model file gives that it was made of."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from rapidseg.core.errors import ExportError
from rapidseg.core.printable import one_line
from rapidseg.core.progress import SILENT, Progress
from rapidseg.core.sizes import SizeHW, format_size
from rapidseg.core.spec import ModelSpec
from rapidseg.core.wording import count_of
from rapidseg.exporting.engine_runs import engines_for, run_engines
from rapidseg.exporting.other_programs import OPENCV, programs_for
from rapidseg.exporting.verification import (
    CHECK_BATCHES,
    MAX_RELATIVE_ERROR,
    MAX_TORCH_MACS,
    MIN_MATCHING_PIXELS,
    Check,
    image_like_noise,
)
from rapidseg.runtime.kernels.class_map import class_map_from_logits
from rapidseg.runtime.model_file import read_spec
from rapidseg.runtime.onnx_complexity import count_onnx_macs

MAX_BATCH_VALUES = 1 << 28  # logits at the size of the images, which other programs build for class maps: 1 GB


def verify_specialized(
    path: Path, spec: ModelSpec, source: Path, *, sizes: Sequence[SizeHW], progress: Progress = SILENT
) -> tuple[tuple[Check, ...], tuple[str, ...]]:
    """Runs a file in every installed program and compares it with the model file that it was made of, in the same.

    Logits are computed as in prediction, class maps as other programs compute them. What prediction makes of the logits
    of `source` is the reference of class maps. OpenCV, which does not run `source`, is compared with OpenVINO.

    Args:
        path: the file to verify.
        spec: its specification.
        source: the model file, which takes any size and returns logits.
        sizes: heights and widths of the images to try.
        progress: told after each comparison.

    Returns:
        The comparisons, and what a person must be told about OpenCV.

    Raises:
        ExportError: a comparison fails, or a program cannot run the file; not for OpenCV.
    """
    checks: list[Check] = []
    warnings: list[str] = []
    task = "comparing with the model file" if spec.output == "logits" else "comparing class maps"
    progress.update(task, 0, None)
    for size_hw in sizes:
        batches = _batches(spec, size_hw)
        images = image_like_noise(max(batches), size_hw)
        engines = _engines(spec, source, size_hw)
        references = {
            (engine, batch): logits
            for engine, batch, logits in run_engines(source, read_spec(source), images, batches, engines)
        }
        for name, batch, output in _outputs(path, spec, images, batches, engines, warnings):
            reference = references[engines[0] if name == OPENCV else name, batch]
            try:
                check = _compare(name, spec, output, reference, size_hw)
            except ExportError as error:  # another shape
                if name != OPENCV:
                    raise
                warnings.append(f"OpenCV {cv2.__version__} cannot run this file ({error}); use another program")
                continue
            checks.append(check)
            if not check.passed and name == OPENCV:
                warnings.append(
                    f"OpenCV {cv2.__version__} does not compute this file right ({check}); use a size with larger "
                    "sides, another version of OpenCV, or another program"
                )
            elif not check.passed:
                raise ExportError(
                    f"the outputs of the new file do not match those of the model file ({check}; allowed are "
                    f"{MAX_RELATIVE_ERROR:.0e} and {MIN_MATCHING_PIXELS:.1%}), so no file was written. "
                    "Try other versions of ONNX, ONNX Runtime or OpenVINO (constraints.txt lists tested versions)"
                )
            progress.update(task, len(checks), None)
    return tuple(checks), tuple(warnings)


def _batches(spec: ModelSpec, size_hw: SizeHW) -> tuple[int, ...]:
    """Returns the numbers of images to compare at a size: those for which the memory is bounded, or one image."""
    if spec.static_size is not None:
        return (1,)
    values = 0 if spec.output == "logits" else math.prod(size_hw) * spec.labels.num_classes
    return tuple(batch for batch in CHECK_BATCHES if batch == 1 or batch * values <= MAX_BATCH_VALUES)


def _engines(spec: ModelSpec, source: Path, size_hw: SizeHW) -> tuple[str, ...]:
    """Returns the engines to compare at a size; PyTorch is slow on a CPU, and does not return class maps."""
    with_torch = spec.output == "logits" and count_onnx_macs(source, size_hw) <= MAX_TORCH_MACS
    return tuple(name for name in engines_for(spec) if name != "torch" or with_torch)


def _outputs(
    path: Path, spec: ModelSpec, images: np.ndarray, batches: Sequence[int], engines: Sequence[str], warnings: list[str]
) -> Iterator[tuple[str, int, np.ndarray]]:
    """Yields the name of a program, a number n of images, and what the file returns in it for the first n images."""
    programs = programs_for(spec)
    if spec.output == "logits":
        yield from run_engines(path, spec, images, batches, engines)
        programs = {name: run for name, run in programs.items() if name == OPENCV}
    for name, run in programs.items():
        for batch in batches:
            try:
                output = run(path, images[:batch])
            except Exception as error:  # programs raise many types of their own
                reason = one_line(error, 300) or type(error).__name__
                if name != OPENCV:
                    where = f"{name} at {format_size(images.shape[1:])}, batch {batch}"
                    raise ExportError(
                        f"the new file does not run in {where} ({reason}), so no file was written"
                    ) from error
                warnings.append(f"OpenCV {cv2.__version__} cannot run this file ({reason}); use another program")
            else:
                yield name, batch, output


def _compare(name: str, spec: ModelSpec, output: np.ndarray, logits: np.ndarray, size_hw: SizeHW) -> Check:
    """Compares an output with the (N, K, h, w) logits of the model file, or with their class maps."""
    to_class_map = functools.partial(class_map_from_logits, size_hw=size_hw, align_corners=spec.align_corners)
    class_maps = np.stack([to_class_map(each) for each in logits])
    expected = logits if spec.output == "logits" else class_maps
    if output.shape != expected.shape:
        raise ExportError(
            f"the new file returns an output of shape {output.shape} in {name} for {count_of(logits, 'image')} of "
            f"{format_size(size_hw)} pixels, and not {expected.shape}"
        )
    if spec.output != "logits":
        return Check(name, len(logits), size_hw, None, float(np.mean(output == class_maps)))
    largest = max(float(np.abs(logits).max()), float(np.finfo(np.float32).tiny))
    same = [np.mean(to_class_map(each) == class_map) for each, class_map in zip(output, class_maps, strict=True)]
    return Check(name, len(logits), size_hw, float(np.abs(output - logits).max()) / largest, float(np.mean(same)))

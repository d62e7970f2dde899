"""Verifies that engines compute what an INT8 file says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rapidseg.core.errors import ExportError
from rapidseg.core.progress import SILENT, Progress
from rapidseg.core.sizes import SizeHW, format_size
from rapidseg.core.spec import ModelSpec
from rapidseg.exporting.engine_runs import engines_for, run_engines
from rapidseg.exporting.int8.reference import Reference
from rapidseg.exporting.verification import CHECK_BATCHES, image_like_noise
from rapidseg.runtime.kernels.class_map import class_map_from_logits

# Where a sum lies between two of the 256 steps of an activation, engines round to either side, which moves the layers
# behind. So the logits of an engine cannot be held to those of the standard. Their distance from float32 can: it comes
# from as many roundings. In trained and untrained networks it was 0.9 to 1.1 times the standard's. An engine that took
# the zero points of one layer wrong was five times as far away. The margin is for networks that INT8 hardly changes.
MAX_ERROR_RATIO = 1.5
MARGIN = 0.01


@dataclass(frozen=True)
class Int8Check:
    """One comparison of an INT8 file in an engine with the float32 file, and with the ONNX standard.

    Attributes:
        engine: `openvino` or `onnxruntime`.
        batch: number of images.
        size_hw: height and width of the images in pixels.
        error: root mean square of the differences between these logits and those of the float32 file, divided by the
            root mean square of the latter.
        standard_error: the same for the INT8 file computed node by node, as the standard says.
        agreement: share of pixels of the images that get the same class as node by node.
    """

    engine: str
    batch: int
    size_hw: SizeHW
    error: float
    standard_error: float
    agreement: float

    @property
    def passed(self) -> bool:
        return self.error <= MAX_ERROR_RATIO * self.standard_error + MARGIN

    def __str__(self) -> str:
        return (
            f"{self.engine}, {format_size(self.size_hw)}, batch {self.batch}: {self.error:.1%} from float32, where the "
            f"standard gives {self.standard_error:.1%}; same class at {self.agreement:.2%} of pixels"
        )


def verify_quantized(
    path: Path,
    source: Path,
    spec: ModelSpec,
    *,
    sizes: Sequence[SizeHW],
    batches: Sequence[int] = CHECK_BATCHES,
    progress: Progress = SILENT,
) -> tuple[Int8Check, ...]:
    """Runs an INT8 file in ONNX Runtime and OpenVINO and compares both with its graph, computed node by node.

    Args:
        path: the INT8 file.
        source: the float32 file that it was made from.
        spec: of the INT8 file.
        sizes: heights and widths of the images to try.
        batches: numbers of images to try at each size.
        progress: told after each comparison.

    Raises:
        ExportError: a comparison fails, or an engine cannot run the file.
    """
    engines = engines_for(spec)
    node_by_node, in_float32 = Reference(path), Reference(source)
    total = len(sizes) * len(batches) * len(engines)
    checks: list[Int8Check] = []
    for size_hw in sizes:
        images = image_like_noise(max(batches), size_hw)
        float32, standard = in_float32(images), node_by_node(images)
        class_maps = _class_maps(standard, spec, size_hw)
        for engine, batch, logits in run_engines(path, spec, images, batches, engines):
            check = _compare(engine, spec, logits, standard[:batch], float32[:batch], class_maps[:batch], size_hw)
            if not check.passed:
                raise ExportError(
                    f"{engine} does not compute what the INT8 file says ({check}; allowed are {MAX_ERROR_RATIO} times "
                    f"that plus {MARGIN:.0%}), so no file was written. "
                    "Try other versions of ONNX Runtime or OpenVINO (constraints.txt lists tested versions)"
                )
            checks.append(check)
            progress.update("verifying both engines", len(checks), total)
    return tuple(checks)


def logits_error(logits: np.ndarray, reference: np.ndarray) -> float:
    """Returns the root mean square of the differences, divided by the root mean square of the reference."""
    size = max(float(np.square(reference, dtype=np.float64).mean()), np.finfo(np.float32).tiny)
    return float(np.sqrt(np.square(logits - reference, dtype=np.float64).mean() / size))


def _compare(
    engine: str,
    spec: ModelSpec,
    logits: np.ndarray,
    standard: np.ndarray,
    float32: np.ndarray,
    class_maps: Sequence[np.ndarray],
    size_hw: SizeHW,
) -> Int8Check:
    if logits.shape != standard.shape:
        raise ExportError(
            f"the INT8 file returns logits of shape {logits.shape} in {engine} for {len(standard)} images of "
            f"{format_size(size_hw)} pixels, and {standard.shape} node by node, so no file was written"
        )
    same = [a == b for a, b in zip(_class_maps(logits, spec, size_hw), class_maps, strict=True)]
    return Int8Check(
        engine=engine,
        batch=len(standard),
        size_hw=size_hw,
        error=logits_error(logits, float32),
        standard_error=logits_error(standard, float32),
        agreement=float(np.mean(same)),
    )


def _class_maps(logits: np.ndarray, spec: ModelSpec, size_hw: SizeHW) -> list[np.ndarray]:
    return [class_map_from_logits(each, size_hw, align_corners=spec.align_corners) for each in logits]

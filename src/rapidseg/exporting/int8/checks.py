"""Proof that engines compute what an INT8 file says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rapidseg.core.errors import ExportError
from rapidseg.core.spec import ModelSpec
from rapidseg.exporting.engines import ENGINES, NODE_BY_NODE, run, start
from rapidseg.exporting.verification import CHECK_BATCHES, CHECK_SIZES, MAX_MACS, image_like_noise
from rapidseg.runtime.kernels.class_map import class_map_from_logits
from rapidseg.runtime.onnx_complexity import count_onnx_macs

# Where a sum lies between two of the 256 steps of an activation, engines round to either side, which moves the layers
# behind. So an engine cannot be held to the logits that the standard gives, but to their distance from those in
# float32, which is made of as many roundings: in trained and untrained networks 0.9 to 1.1 times that distance came
# out. An engine that took the zero points of one layer wrong was five times as far away. The margin is for networks
# that INT8 does next to no harm to.
MAX_TIMES_FURTHER = 1.5
MARGIN = 0.01


@dataclass(frozen=True)
class Int8Check:
    """One comparison of an INT8 file in an engine with the float32 file and with what the standard makes of it.

    Attributes:
        engine: `onnxruntime` or `openvino`.
        batch: number of images.
        size_hw: height and width of the images in pixels.
        error: root mean square of the differences of logits to those of the float32 file, in parts of that of those.
        standard_error: the same of the INT8 file when it is computed node by node, as the standard says.
        agreement: share of pixels of the images that get the same class as node by node.
    """

    engine: str
    batch: int
    size_hw: tuple[int, int]
    error: float
    standard_error: float
    agreement: float

    @property
    def passed(self) -> bool:
        return self.error <= MAX_TIMES_FURTHER * self.standard_error + MARGIN

    def __str__(self) -> str:
        height, width = self.size_hw
        return (
            f"{self.engine}, {height}x{width}, batch {self.batch}: {self.error:.1%} from float32, where the standard "
            f"gives {self.standard_error:.1%}; same class at {self.agreement:.2%} of pixels"
        )


def verify_quantized(
    path: Path,
    source: Path,
    spec: ModelSpec,
    *,
    sizes: Sequence[tuple[int, int]],
    batches: Sequence[int] = CHECK_BATCHES,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Int8Check, ...]:
    """Runs an INT8 file in ONNX Runtime and OpenVINO and compares them with its graph, computed node by node.

    Node by node, every pair of nodes rounds and nothing is put together, as the ONNX standard says.

    Args:
        path: the INT8 file.
        source: the float32 file that it was made from.
        spec: says how logits become a class map.
        sizes: heights and widths of the images to try.
        batches: numbers of images to try at each size.
        progress: called after each comparison with the number done and of all.

    Raises:
        ExportError: a comparison fails, or an engine cannot run the file.
    """
    engines = {name: start(name, path) for name in ENGINES}
    node_by_node = start(NODE_BY_NODE, path)
    in_float32 = start(ENGINES[0], source)
    checks: list[Int8Check] = []
    for size_hw in sizes:
        images = image_like_noise(max(batches), size_hw)
        float32 = np.concatenate([run(ENGINES[0], in_float32, image[None]) for image in images])
        standard = np.concatenate([run(NODE_BY_NODE, node_by_node, image[None]) for image in images])
        class_maps = _class_maps(standard, spec, size_hw)
        for batch in batches:
            for name, engine in engines.items():
                logits = run(name, engine, images[:batch])
                check = _compare(name, spec, logits, standard[:batch], float32[:batch], class_maps, size_hw)
                if not check.passed:
                    raise ExportError(
                        f"an engine does not compute what the INT8 file says ({check}; allowed are "
                        f"{MAX_TIMES_FURTHER} times that and {MARGIN:.0%}), so no file was written. "
                        "Trial other versions of ONNX Runtime or OpenVINO (constraints.txt names tested ones)"
                    )
                checks.append(check)
                if progress is not None:
                    progress(len(checks), len(sizes) * len(batches) * len(engines))
    return tuple(checks)


def affordable_check_sizes(path: Path) -> tuple[tuple[int, int], ...]:
    """Returns the sizes of `CHECK_SIZES` at which a file takes no more than `MAX_MACS`, or the smallest."""
    sizes = tuple(size_hw for size_hw in CHECK_SIZES if count_onnx_macs(path, size_hw) <= MAX_MACS)
    return sizes or CHECK_SIZES[-1:]


def logits_error(logits: np.ndarray, reference: np.ndarray) -> float:
    """Returns the root mean square of the differences, in parts of that of the reference."""
    size = max(float(np.square(reference, dtype=np.float64).mean()), np.finfo(np.float32).tiny)
    return float(np.sqrt(np.square(logits - reference, dtype=np.float64).mean() / size))


def _compare(
    engine: str,
    spec: ModelSpec,
    logits: np.ndarray,
    standard: np.ndarray,
    float32: np.ndarray,
    class_maps: Sequence[np.ndarray],
    size_hw: tuple[int, int],
) -> Int8Check:
    """Compares logits of an engine; `class_maps` holds at least as many as the standard has logits."""
    if logits.shape != standard.shape:
        raise ExportError(
            f"the INT8 file gives logits of shape {logits.shape} in {engine} for {len(standard)} images of "
            f"{size_hw[0]}x{size_hw[1]} pixels, and {standard.shape} node by node, so no file was written"
        )
    ours = _class_maps(logits, spec, size_hw)
    return Int8Check(
        engine=engine,
        batch=len(standard),
        size_hw=size_hw,
        error=logits_error(logits, float32),
        standard_error=logits_error(standard, float32),
        agreement=float(np.mean([a == b for a, b in zip(ours, class_maps[: len(ours)], strict=True)])),
    )


def _class_maps(logits: np.ndarray, spec: ModelSpec, size_hw: tuple[int, int]) -> list[np.ndarray]:
    return [class_map_from_logits(each, size_hw, align_corners=spec.align_corners) for each in logits]

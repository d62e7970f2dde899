"""Proof that engines compute what an INT8 file says."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rapidseg.core.errors import ExportError
from rapidseg.core.spec import ModelSpec
from rapidseg.exporting.engines import ENGINES, NODE_BY_NODE, run, start
from rapidseg.exporting.verification import CHECK_BATCHES, CHECK_SIZES, MAX_MACS, image_like_noise
from rapidseg.runtime.class_map import class_map_from_logits

# Of the root mean square of the logits. Where a sum lies between two of the 256 steps of an activation, engines round
# to either side, and one step of one layer moves those behind it: 0.02 to 0.05 came of that in a trained Fast-SCNN. An
# engine that took the zero points of one layer wrong gave 0.33.
MAX_ROUNDING_ERROR = 0.15


@dataclass(frozen=True)
class Int8Check:
    """One comparison of an INT8 file in an engine with what the standard says that it computes.

    Attributes:
        engine: `onnxruntime` or `openvino`.
        batch: number of images.
        size_hw: height and width of the images in pixels.
        rounding_error: root mean square of the differences of logits, in parts of that of the logits.
        agreement: share of pixels of the images that get the same class.
    """

    engine: str
    batch: int
    size_hw: tuple[int, int]
    rounding_error: float
    agreement: float

    @property
    def passed(self) -> bool:
        return self.rounding_error <= MAX_ROUNDING_ERROR

    def __str__(self) -> str:
        height, width = self.size_hw
        return (
            f"{self.engine}, {height}x{width}, batch {self.batch}: error of rounding {self.rounding_error:.3f}, "
            f"same class at {self.agreement:.2%} of pixels"
        )


def verify_quantized(
    path: Path,
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
        spec: says how logits become a class map.
        sizes: heights and widths of the images to try.
        batches: numbers of images to try at each size.
        progress: called after each comparison with the number done and of all.

    Raises:
        ExportError: a comparison fails, or an engine cannot run the file.
    """
    engines = {name: start(name, path) for name in ENGINES}
    node_by_node = start(NODE_BY_NODE, path)
    checks: list[Int8Check] = []
    for size_hw in sizes:
        images = image_like_noise(max(batches), size_hw)
        reference = np.concatenate([run(NODE_BY_NODE, node_by_node, image[None]) for image in images])
        class_maps = [class_map_from_logits(each, size_hw, align_corners=spec.align_corners) for each in reference]
        for batch in batches:
            for name, engine in engines.items():
                logits = run(name, engine, images[:batch])
                checks.append(_compare(name, spec, logits, reference[:batch], class_maps[:batch], size_hw))
                if not checks[-1].passed:
                    raise ExportError(
                        f"an engine does not compute what the INT8 file says ({checks[-1]}; allowed is an error of "
                        f"{MAX_ROUNDING_ERROR}), so no file was written. "
                        "Try other versions of ONNX Runtime or OpenVINO (constraints.txt names tested ones)"
                    )
                if progress is not None:
                    progress(len(checks), len(sizes) * len(batches) * len(engines))
    return tuple(checks)


def bearable_sizes(path: Path) -> tuple[tuple[int, int], ...]:
    """Returns the sizes of `CHECK_SIZES` at which a file takes no more than `MAX_MACS`, or the smallest."""
    sizes = tuple(size_hw for size_hw in CHECK_SIZES if _count_macs(path, size_hw) <= MAX_MACS)
    return sizes or CHECK_SIZES[-1:]


def _count_macs(path: Path, size_hw: tuple[int, int]) -> int:
    """Returns the multiply-accumulates of a file's convolutions for one image."""
    import openvino

    network = openvino.Core().read_model(path)
    network.reshape({"image": [1, *size_hw, 3]})
    macs = 0
    for node in network.get_ops():
        if node.get_type_name() in ("Convolution", "GroupConvolution"):
            output, weights = node.output(0).get_shape(), node.input(1).get_shape()
            macs += math.prod(output) * math.prod(weights) // output[1]
    return macs


def _compare(
    engine: str,
    spec: ModelSpec,
    logits: np.ndarray,
    reference: np.ndarray,
    class_maps: Sequence[np.ndarray],
    size_hw: tuple[int, int],
) -> Int8Check:
    if logits.shape != reference.shape:
        raise ExportError(
            f"the INT8 file gives logits of shape {logits.shape} in {engine} for {len(reference)} images of "
            f"{size_hw[0]}x{size_hw[1]} pixels, and {reference.shape} node by node, so no file was written"
        )
    same = [
        np.mean(class_map_from_logits(ours, size_hw, align_corners=spec.align_corners) == class_map)
        for ours, class_map in zip(logits, class_maps, strict=True)
    ]
    return Int8Check(
        engine=engine,
        batch=len(reference),
        size_hw=size_hw,
        rounding_error=logits_error(logits, reference),
        agreement=float(np.mean(same)),
    )


def logits_error(logits: np.ndarray, reference: np.ndarray) -> float:
    """Returns the root mean square of the differences, in parts of that of the reference."""
    size = max(float(np.square(reference, dtype=np.float64).mean()), np.finfo(np.float32).tiny)
    return float(np.sqrt(np.square(logits - reference, dtype=np.float64).mean() / size))

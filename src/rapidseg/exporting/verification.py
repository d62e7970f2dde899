"""Verifies that the outputs of an exported file match PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from rapidseg.core.errors import ExportError, InputError
from rapidseg.core.progress import SILENT, Progress
from rapidseg.core.sizes import SizeHW, format_size
from rapidseg.core.spec import ModelSpec
from rapidseg.exporting.engine_runs import engines_for, run_engines
from rapidseg.imaging import MINIMUM_SIDE
from rapidseg.models import SegmentationModel, count_macs
from rapidseg.runtime.kernels.class_map import class_map_from_logits

CHECK_SIZES = ((1024, 2048), (512, 1024), (360, 480), (97, 161))  # (height, width) in pixels
CHECK_BATCHES = (1, 3)

# Eleven images are computed at each size, on a CPU that may do 1e11 multiply-accumulates a second: sizes that would
# take minutes are skipped. A dilated ResNet-50 has 178e9 at 360x480, and 2.2e12 at 1024x2048.
MAX_MACS = 300e9

# The PyTorch engine is made for GPUs and runs here on the CPU, where it computes another eight images at each size.
# Fast-SCNN has 1.7e9 at 512x1024, and 6.7e9 at 1024x2048, which would take a fifth of the time of an export.
MAX_TORCH_MACS = 5e9

# Engines order float32 sums differently, which moves logits by about 1e-6 of the largest logit. A wrong border, size
# or constant moves them by 1e-2 and more, so these limits tell the two apart.
MAX_RELATIVE_ERROR = 1e-3
MIN_MATCHING_PIXELS = 0.999


@dataclass(frozen=True)
class Check:
    """One comparison of the exported file in an engine with the model in PyTorch.

    Attributes:
        engine: `openvino`, `onnxruntime` or `torch`.
        batch: number of images.
        size_hw: height and width of the images in pixels.
        relative_error: largest difference of logits, divided by the largest absolute logit; None where the file
            returns class maps.
        agreement: share of pixels of the images that get the same class.
    """

    engine: str
    batch: int
    size_hw: SizeHW
    relative_error: float | None
    agreement: float

    @property
    def passed(self) -> bool:
        return (self.relative_error or 0) <= MAX_RELATIVE_ERROR and self.agreement >= MIN_MATCHING_PIXELS

    def __str__(self) -> str:
        error = "" if self.relative_error is None else f"relative error {self.relative_error:.1e}, "
        return (
            f"{self.engine}, {format_size(self.size_hw)}, batch {self.batch}: {error}same class at "
            f"{self.agreement:.3%} of pixels"
        )


def verify(
    path: Path,
    model: SegmentationModel,
    spec: ModelSpec,
    *,
    sizes: Sequence[SizeHW] = CHECK_SIZES,
    batches: Sequence[int] = CHECK_BATCHES,
    progress: Progress = SILENT,
) -> tuple[Check, ...]:
    """Runs an exported file in every installed engine in float32 and compares it with the model in PyTorch.

    The PyTorch engine is compared at the sizes that take no more than `MAX_TORCH_MACS`, or else at the smallest.

    Args:
        path: the ONNX file.
        model: on the CPU, in float32 and in evaluation mode.
        spec: gives `mean` and `std`.
        sizes: heights and widths of the images to try.
        batches: numbers of images to try at each size.
        progress: told after each comparison.

    Raises:
        ExportError: a comparison fails, or an engine cannot run the file.
    """
    engines = _engines_by_size(model, spec, sizes)
    total = len(batches) * sum(map(len, engines.values()))
    checks: list[Check] = []
    progress.update("comparing with PyTorch", 0, total)
    for size_hw in sizes:
        images = image_like_noise(max(batches), size_hw)
        reference = _reference(model, spec, images)
        class_maps = [reference_class_map(model, logits, size_hw) for logits in reference]
        for engine, batch, logits in run_engines(path, spec, images, batches, engines[size_hw]):
            checks.append(_compare(engine, spec, logits, reference[:batch], class_maps[:batch], size_hw))
            if not checks[-1].passed:
                raise ExportError(
                    f"the outputs of the exported file do not match PyTorch ({checks[-1]}; allowed are "
                    f"{MAX_RELATIVE_ERROR:.0e} and {MIN_MATCHING_PIXELS:.1%}), so no file was written. "
                    "Try other versions of PyTorch, ONNX Runtime or OpenVINO (constraints.txt lists tested versions)"
                )
            progress.update("comparing with PyTorch", len(checks), total)
    return tuple(checks)


def affordable_check_sizes(count_macs: Callable[[SizeHW], int]) -> tuple[SizeHW, ...]:
    """Returns the sizes of `CHECK_SIZES` at which a network takes no more than `MAX_MACS`, or the smallest.

    Args:
        count_macs: returns the multiply-accumulates for one image of a size.
    """
    sizes = tuple(size_hw for size_hw in CHECK_SIZES if count_macs(size_hw) <= MAX_MACS)
    return sizes or CHECK_SIZES[-1:]


def validate_check_sizes(sizes: Sequence[SizeHW]) -> None:
    """Raises `InputError` unless there is a size, and no side is below `MINIMUM_SIDE`."""
    if not sizes or min(min(size_hw) for size_hw in sizes) < MINIMUM_SIDE:
        raise InputError(f"check_sizes is {sizes}; pass at least one size, with sides of {MINIMUM_SIDE} pixels or more")


def image_like_noise(count: int, size_hw: SizeHW) -> np.ndarray:
    """Returns (N, H, W, 3) uint8 images of random patches of many sizes, the same at every call.

    Large patches make the network answer with regions, as for photos. White noise alone averages out to a single
    class everywhere, which would hide a wrong border or pooling cell.
    """
    random = np.random.default_rng(0)
    height, width = size_hw
    images = np.empty((count, height, width, 3), np.uint8)
    for image in images:
        layers = np.full((height, width, 3), 127.5, np.float32)
        for patch, contrast in ((128, 60), (32, 30), (8, 15), (1, 10)):
            grid_hw = (-(-height // patch), -(-width // patch))
            noise = random.normal(scale=contrast, size=(*grid_hw, 3)).astype(np.float32)
            layers += cv2.resize(noise, (width, height), interpolation=cv2.INTER_LINEAR)
        image[:] = layers.clip(0, 255)
    return images


def _engines_by_size(
    model: SegmentationModel, spec: ModelSpec, sizes: Sequence[SizeHW]
) -> dict[SizeHW, tuple[str, ...]]:
    """Returns for each size the engines to compare at it."""
    macs = {size_hw: count_macs(model, size_hw) for size_hw in sizes}
    limit = max(MAX_TORCH_MACS, min(macs.values()))
    return {
        size_hw: tuple(name for name in engines_for(spec) if name != "torch" or macs[size_hw] <= limit)
        for size_hw in sizes
    }


def _reference(model: SegmentationModel, spec: ModelSpec, images: np.ndarray) -> Tensor:
    """Returns the (N, K, h, w) logits of PyTorch, computed image by image: a batch takes a multiple of the memory."""
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (spec.mean, spec.std))
    logits = []
    with torch.inference_mode():
        for image in images:
            planes = torch.from_numpy(image).permute(2, 0, 1).unsqueeze(0).float()
            logits.append(model((planes - mean) / std))
    reference = torch.cat(logits)
    if not reference.isfinite().all():
        raise ExportError("the model returns NaN or infinite logits; train or import it again")
    return reference


def _compare(
    engine: str,
    spec: ModelSpec,
    logits: np.ndarray,
    reference: Tensor,
    class_maps: Sequence[np.ndarray],
    size_hw: SizeHW,
) -> Check:
    if logits.shape != reference.shape:
        raise ExportError(
            f"the exported file returns logits of shape {logits.shape} in {engine} for {len(reference)} images of "
            f"{format_size(size_hw)} pixels, the model {tuple(reference.shape)}, so no file was written"
        )
    largest = max(float(reference.abs().max()), torch.finfo(torch.float32).tiny)
    same = [
        np.mean(class_map_from_logits(each, size_hw, align_corners=spec.align_corners) == class_map)
        for each, class_map in zip(logits, class_maps, strict=True)
    ]
    return Check(
        engine=engine,
        batch=len(reference),
        size_hw=size_hw,
        relative_error=float((torch.from_numpy(logits) - reference).abs().max()) / largest,
        agreement=float(np.mean(same)),
    )


def reference_class_map(model: SegmentationModel, logits: Tensor, size_hw: SizeHW) -> np.ndarray:
    """Returns the (H, W) uint8 class map of (K, h, w) logits as PyTorch computes it, with `model.upsample`.

    Few classes are upsampled at a time to save memory.
    """
    best = torch.full(size_hw, -torch.inf)
    class_map = torch.zeros(size_hw, dtype=torch.uint8)
    for first, part in _parts(logits, 4):
        value, index = model.upsample(part.unsqueeze(0), size_hw)[0].max(dim=0)
        better = value > best
        best = torch.where(better, value, best)
        class_map = torch.where(better, (index + first).to(torch.uint8), class_map)
    return class_map.numpy()


def _parts(logits: Tensor, count: int) -> Iterator[tuple[int, Tensor]]:
    return zip(range(0, len(logits), count), logits.split(count), strict=True)

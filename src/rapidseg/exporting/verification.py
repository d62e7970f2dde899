"""Proof that an exported file computes what the model computes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from rapidseg.core.errors import ExportError
from rapidseg.core.spec import ModelSpec
from rapidseg.exporting.engines import ENGINES, run, start
from rapidseg.models import SegmentationModel, count_macs

CHECK_SIZES = ((1024, 2048), (512, 1024), (360, 480), (97, 161))  # (height, width) in pixels
CHECK_BATCHES = (1, 3)

# An image is computed eleven times in all at each size, on a CPU that may do 1e11 multiply-accumulates a second: sizes
# that would take minutes are left out. A dilated ResNet-50 has 178e9 at 360x480, and 2.2e12 at 1024x2048.
MAX_MACS = 300e9

# Engines order float32 sums differently, which moves logits by about 1e-6 of the largest one. A wrong border, size
# or constant moves them by 1e-2 and more, so these limits part the two.
MAX_RELATIVE_ERROR = 1e-3
EXPORT_MIN_AGREEMENT = 0.999


@dataclass(frozen=True)
class Check:
    """One comparison of the exported file in an engine with the model in PyTorch.

    Attributes:
        engine: `onnxruntime` or `openvino`.
        batch: number of images.
        size_hw: height and width of the images in pixels.
        relative_error: largest difference of logits, divided by the largest absolute logit.
        agreement: share of pixels of the images that get the same class.
    """

    engine: str
    batch: int
    size_hw: tuple[int, int]
    relative_error: float
    agreement: float

    @property
    def passed(self) -> bool:
        return self.relative_error <= MAX_RELATIVE_ERROR and self.agreement >= EXPORT_MIN_AGREEMENT

    def __str__(self) -> str:
        height, width = self.size_hw
        return (
            f"{self.engine}, {height}x{width}, batch {self.batch}: relative error {self.relative_error:.1e}, "
            f"same class at {self.agreement:.3%} of pixels"
        )


def verify(
    path: Path,
    model: SegmentationModel,
    spec: ModelSpec,
    *,
    sizes: Sequence[tuple[int, int]] = CHECK_SIZES,
    batches: Sequence[int] = CHECK_BATCHES,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Check, ...]:
    """Runs an exported file in ONNX Runtime and OpenVINO and compares it with the model in PyTorch.

    Args:
        path: the ONNX file.
        model: on the CPU, in float32 and in evaluation mode.
        spec: gives `mean` and `std`.
        sizes: heights and widths of the images to try.
        batches: numbers of images to try at each size.
        progress: called after each comparison with the number done and of all.

    Raises:
        ExportError: a comparison fails, or an engine cannot run the file.
    """
    engines = {name: start(name, path) for name in ENGINES}
    checks: list[Check] = []
    for size_hw in sizes:
        images = image_like_noise(max(batches), size_hw)
        reference = _reference(model, spec, images)
        class_maps = [_class_map(model, logits, size_hw) for logits in reference]
        for batch in batches:
            for name, engine in engines.items():
                logits = run(name, engine, images[:batch])
                checks.append(_compare(name, model, logits, reference[:batch], class_maps[:batch], size_hw))
                if not checks[-1].passed:
                    raise ExportError(
                        f"the exported file does not compute what the model computes ({checks[-1]}; allowed are "
                        f"{MAX_RELATIVE_ERROR:.0e} and {EXPORT_MIN_AGREEMENT:.1%}), so no file was written. "
                        "Trial other versions of PyTorch, ONNX Runtime or OpenVINO (constraints.txt names tested ones)"
                    )
                if progress is not None:
                    progress(len(checks), len(sizes) * len(batches) * len(engines))
    return tuple(checks)


def affordable_check_sizes(model: SegmentationModel) -> tuple[tuple[int, int], ...]:
    """Returns the sizes of `CHECK_SIZES` at which the network takes no more than `MAX_MACS`, or the smallest."""
    sizes = tuple(size_hw for size_hw in CHECK_SIZES if count_macs(model, size_hw) <= MAX_MACS)
    return sizes or CHECK_SIZES[-1:]


def image_like_noise(count: int, size_hw: tuple[int, int]) -> np.ndarray:
    """Returns (N, H, W, 3) uint8 images of random patches of many sizes, the same ones at every call.

    Their large patches make the network answer with regions, as for photos; white noise alone averages out to one
    class everywhere, and a wrong border or pooling cell would not show.
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
        raise ExportError("the model gives logits that are no finite numbers; train or import it again")
    return reference


def _compare(
    engine: str,
    model: SegmentationModel,
    logits: np.ndarray,
    reference: Tensor,
    class_maps: Sequence[Tensor],
    size_hw: tuple[int, int],
) -> Check:
    ours = torch.from_numpy(logits)
    if ours.shape != reference.shape:
        raise ExportError(
            f"the exported file gives logits of shape {tuple(ours.shape)} in {engine} for {len(reference)} images of "
            f"{size_hw[0]}x{size_hw[1]} pixels, the model {tuple(reference.shape)}, so no file was written"
        )
    largest = max(float(reference.abs().max()), torch.finfo(torch.float32).tiny)
    same = [
        float((_class_map(model, one, size_hw) == class_map).float().mean())
        for one, class_map in zip(ours, class_maps, strict=True)
    ]
    return Check(
        engine=engine,
        batch=len(reference),
        size_hw=size_hw,
        relative_error=float((ours - reference).abs().max()) / largest,
        agreement=float(np.mean(same)),
    )


def _class_map(model: SegmentationModel, logits: Tensor, size_hw: tuple[int, int]) -> Tensor:
    """Returns the (H, W) uint8 class map of (K, h, w) logits, upsampling few classes at a time to save memory."""
    best = torch.full(size_hw, -torch.inf)
    class_map = torch.zeros(size_hw, dtype=torch.uint8)
    for first, part in _parts(logits, 4):
        value, index = model.upsample(part.unsqueeze(0), size_hw)[0].max(dim=0)
        better = value > best
        best = torch.where(better, value, best)
        class_map = torch.where(better, (index + first).to(torch.uint8), class_map)
    return class_map


def _parts(logits: Tensor, count: int) -> Iterator[tuple[int, Tensor]]:
    return zip(range(0, len(logits), count), logits.split(count), strict=True)

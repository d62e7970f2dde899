"""How many pixels keep their class in a faster number type. Measured at export, so that `auto` can decide."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from rapidseg.core.spec import ModelSpec
from rapidseg.data import Dataset
from rapidseg.imaging import input_size_hw, read_image, resize_image
from rapidseg.runtime import Segmenter
from rapidseg.runtime.engines.openvino import OpenVinoEngine, computes_in_bf16
from rapidseg.runtime.engines.torch_onnx.engine import TorchFileEngine
from rapidseg.runtime.model_file import SAMPLE_IMAGE
from rapidseg.scenes import draw_scene

COMPARED_IMAGES = 16  # of a data set: several million pixels, of which 0.5 % is far above what chance moves

# A series and a size of scenes for this purpose alone, so that they are in nobody's training data.
_SEED, _COUNT, _SIZE_HW = 1926, 4, (512, 1024)

WorkingSize = int | tuple[int, int] | None
"""At which size the network sees an image: shorter side, (height, width), or None for what the file says."""


def measure_precisions(
    path: Path,
    spec: ModelSpec,
    images: Sequence[np.ndarray] | None = None,
    *,
    is_int8: bool = False,
    input_size: WorkingSize = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, float]:
    """Compares the class maps of a file in bf16 and fp16 with those in float32.

    bf16 is what OpenVINO makes of it on this CPU. fp16 is for GPUs, so it is computed here as their matrix units do:
    weights and the result of every operator are fp16, and sums are float32. What is too large for fp16 becomes
    infinite, which shows. GPUs order sums otherwise, which moves few pixels against those that rounding moves.

    Args:
        path: the model file; of an INT8 file, what is not INT8 is computed in either.
        spec: what it says about itself.
        images: (H, W, 3) uint8 RGB of any sizes, as the model is made for; None takes `street_scenes`.
        is_int8: whether it is an INT8 file.
        input_size: as for a call of `Segmenter`.
        progress: called after each image with the number done and of all.

    Returns:
        The share of pixels that get the same class, for `bf16` where this CPU computes in it, and for `fp16` but for
        INT8 files, which PyTorch does not run; nothing without images.
    """
    images = street_scenes() if images is None else images
    others = {}
    if images and computes_in_bf16("cpu"):
        others["bf16"] = open_in_openvino(path, spec, "bf16")
    if images and not is_int8:
        others["fp16"] = open_rounding(path, spec, "fp16")
    if not others:
        return {}
    reference = open_in_openvino(path, spec, "float32")
    return agreement(reference, others, images, input_size=input_size, progress=progress)


def open_in_openvino(path: Path, spec: ModelSpec, precision: str) -> Segmenter:
    """Returns a segmenter on the CPU that leaves nothing in the cache of compiled models.

    Args:
        path, spec: a model file, and what it says about itself.
        precision: float32 or bf16; in an INT8 file, of what is not INT8.
    """
    return Segmenter(OpenVinoEngine(path, spec, precision=precision, device="cpu", cache=False), spec, path)


def open_rounding(path: Path, spec: ModelSpec, rounding: str) -> Segmenter:
    """Returns a segmenter on the CPU in float32 whose numbers are rounded to fp16 or bf16 after every operator."""
    return Segmenter(
        TorchFileEngine(path, spec, precision="float32", device="cpu", emulated_dtype=rounding), spec, path
    )


def agreement(
    reference: Segmenter,
    others: Mapping[str, Segmenter],
    images: Sequence[np.ndarray],
    *,
    input_size: WorkingSize = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, float]:
    """Returns for each of `others` the share of all images' pixels that get the class that `reference` gives."""
    same = dict.fromkeys(others, 0)
    pixels = 0
    for done, image in enumerate(images, start=1):
        expected = reference(image, input_size=input_size).class_map
        pixels += expected.size
        for name, segmenter in others.items():
            same[name] += int((segmenter(image, input_size=input_size).class_map == expected).sum())
        if progress is not None:
            progress(done, len(images))
    return {name: count / pixels for name, count in same.items()}


def evenly_spaced(dataset: Dataset, count: int) -> Dataset:
    """Returns `count` samples, evenly spread over a data set, or all if it holds fewer."""
    count = min(count, len(dataset))
    return dataset.subset(len(dataset) * place // count for place in range(count))


def prepare(image: np.ndarray, spec: ModelSpec, input_size: WorkingSize) -> np.ndarray:
    """Returns an image, (H, W, 3) uint8 RGB, at the size at which `Segmenter` shows it to the network."""
    wanted = spec.input_short_side if input_size is None else input_size
    return resize_image(image, input_size_hw((image.shape[0], image.shape[1]), wanted, spec.stride))


@functools.cache
def street_scenes() -> tuple[np.ndarray, ...]:
    """Returns the images for a model of which no data is at hand: drawn street scenes and the built-in sample."""
    drawn = tuple(draw_scene(_SEED, index, _SIZE_HW).image for index in range(_COUNT))
    return (*drawn, read_image(SAMPLE_IMAGE))

"""How many pixels keep their class if a model runs in a faster precision. PyTorch is not needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from rapidseg.core.progress import SILENT, Progress
from rapidseg.core.sizes import InputSize
from rapidseg.core.spec import ModelSpec
from rapidseg.imaging import read_image, resize_image
from rapidseg.runtime import Segmenter
from rapidseg.runtime.engines.openvino import OpenVinoEngine, openvino_computes_in_bf16
from rapidseg.runtime.model_file import SAMPLE_IMAGE

_QUICK_SIZE_HW = (256, 512)


def measure_bf16(path: Path, spec: ModelSpec) -> dict[str, float]:
    """Compares the class maps of a model file in bf16 and float32 on the built-in sample, in about a second.

    Returns:
        The share of pixels that get the same class, as `ModelSpec.precisions` has it; empty if this CPU does not
        compute in bf16.
    """
    if not openvino_computes_in_bf16("cpu"):
        return {}
    compared = {"bf16": open_in_openvino(path, spec, "bf16")}
    image = resize_image(read_image(SAMPLE_IMAGE), _QUICK_SIZE_HW)
    return agreement(open_in_openvino(path, spec, "float32"), compared, [image])


def open_in_openvino(path: Path, spec: ModelSpec, precision: str) -> Segmenter:
    """Returns a segmenter on the CPU that does not use the cache of compiled models.

    Args:
        path, spec: a model file and its specification.
        precision: float32 or bf16; in an INT8 file it applies to the layers that are not INT8.
    """
    return Segmenter(OpenVinoEngine(path, spec, precision=precision, device="cpu", cache=False), spec, path)


def agreement(
    reference: Segmenter,
    compared: Mapping[str, Segmenter],
    images: Sequence[np.ndarray],
    *,
    input_size: InputSize | None = None,
    task: str = "comparing",
    progress: Progress = SILENT,
) -> dict[str, float]:
    """Returns for each segmenter the share of all images' pixels that get the class that `reference` gives.

    Args:
        reference: gives the expected class maps.
        compared: segmenters by name.
        images: (H, W, 3) uint8 RGB of any sizes.
        input_size: as for a call of `Segmenter`.
        task: what `progress` is told, after each image.
        progress: watches.
    """
    same = dict.fromkeys(compared, 0)
    pixels = 0
    for done, image in enumerate(images, start=1):
        expected = reference(image, input_size=input_size).class_map
        pixels += expected.size
        for name, segmenter in compared.items():
            same[name] += int((segmenter(image, input_size=input_size).class_map == expected).sum())
        progress.update(task, done, len(images))
    return {name: count / pixels for name, count in same.items()}

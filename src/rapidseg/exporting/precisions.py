"""How many pixels keep their class in a faster precision. Measured at export, so that `auto` can choose."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rapidseg.core.progress import SILENT, Progress
from rapidseg.core.sizes import InputSize
from rapidseg.core.spec import ModelSpec
from rapidseg.evaluation.precision_agreement import agreement, open_in_openvino
from rapidseg.imaging import read_image
from rapidseg.runtime import Segmenter
from rapidseg.runtime.engines.openvino import openvino_computes_in_bf16
from rapidseg.runtime.engines.torch_onnx.torch_onnx_engine import TorchOnnxEngine
from rapidseg.runtime.model_file import SAMPLE_IMAGE
from rapidseg.scenes import draw_scene

COMPARED_IMAGES = 16  # of a data set: several million pixels, of which 0.5 % is far above chance

# A seed and a size of scenes for this purpose alone, so that they are in nobody's training data.
_SEED, _COUNT, _SIZE_HW = 1926, 4, (512, 1024)


def measure_precisions(
    path: Path,
    spec: ModelSpec,
    images: Sequence[np.ndarray] | None = None,
    *,
    is_int8: bool = False,
    input_size: InputSize | None = None,
    progress: Progress = SILENT,
) -> dict[str, float]:
    """Compares the class maps of a file in bf16 and fp16 with those in float32.

    bf16 is computed by OpenVINO on this CPU. fp16 is for GPUs, so it is computed here as their matrix units do: weights
    and the result of every operator are fp16, and sums are float32. Values too large for fp16 become infinite, which
    shows. GPUs add in another order, which moves few pixels compared with those that rounding moves.

    Args:
        path: the model file; in an INT8 file, the precision is that of the layers that are not INT8.
        spec: its specification.
        images: (H, W, 3) uint8 RGB of any sizes, of the kind the model is made for; None: `street_scenes`.
        is_int8: whether it is an INT8 file.
        input_size: as for a call of `Segmenter`.
        progress: told after each image.

    Returns:
        The share of pixels that get the same class, from 0 to 1: for `bf16` if this CPU computes in it, and for `fp16`
        except for INT8 files, which PyTorch does not run. Empty without images.
    """
    images = street_scenes() if images is None else images
    compared = {}
    if images and openvino_computes_in_bf16("cpu"):
        compared["bf16"] = open_in_openvino(path, spec, "bf16")
    if images and not is_int8:
        compared["fp16"] = open_emulated(path, spec, "fp16")
    if not compared:
        return {}
    reference = open_in_openvino(path, spec, "float32")
    task = f"measuring {' and '.join(compared)}"
    return agreement(reference, compared, images, input_size=input_size, task=task, progress=progress)


def open_emulated(path: Path, spec: ModelSpec, dtype: str) -> Segmenter:
    """Returns a segmenter on the CPU in float32 whose numbers are rounded to fp16 or bf16 after every operator."""
    return Segmenter(TorchOnnxEngine(path, spec, precision="float32", device="cpu", emulated_dtype=dtype), spec, path)


@functools.cache
def street_scenes() -> tuple[np.ndarray, ...]:
    """Returns images for a model without data: drawn street scenes and the built-in sample, (H, W, 3) uint8 RGB."""
    drawn = tuple(draw_scene(_SEED, index, _SIZE_HW).image for index in range(_COUNT))
    return (*drawn, read_image(SAMPLE_IMAGE))

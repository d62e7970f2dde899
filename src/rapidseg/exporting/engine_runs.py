"""Runs an exported file in the engines that users run, before the file takes its name.

The engines come from `create_engine`, as for prediction: with preprocessing split off the network, with large images
tiled by rows, and compiled for each input shape. An engine is started anew for each shape, so that only the network of
one shape is in memory.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from rapidseg.core.errors import DependencyError, ExportError
from rapidseg.core.printable import one_line
from rapidseg.core.sizes import format_size
from rapidseg.core.spec import ModelSpec
from rapidseg.runtime.engines import ENGINES, create_engine


def engines_for(spec: ModelSpec) -> tuple[str, ...]:
    """Returns the names of the installed engines that run a file; PyTorch does not run INT8 files."""
    installed = [name for name in ENGINES if name != "onnxruntime" or importlib.util.find_spec("onnxruntime")]
    return tuple(name for name in installed if name != "torch" or spec.quantization is None)


def run_engines(
    path: Path, spec: ModelSpec, images: np.ndarray, batches: Sequence[int], engines: Sequence[str]
) -> Iterator[tuple[str, int, np.ndarray]]:
    """Runs a file on the CPU in each engine, in float32; layers that are INT8 stay INT8.

    Args:
        path: the model file.
        spec: its specification.
        images: (N, H, W, 3) uint8 RGB.
        batches: how many of the images to run at once, one number after another.
        engines: names of the engines.

    Yields:
        The engine's name, the number of images n, and the logits of the first n images, (n, K, h, w) float32.

    Raises:
        ExportError: an engine cannot run the file.
    """
    precision = "float32"
    if spec.quantization is not None:
        # Without a measured bf16 agreement, "int8" computes the rest in float32 on every CPU.
        precision, spec = "int8", spec.model_copy(update={"precisions": {}})
    for name in engines:
        for batch in batches:
            yield name, batch, _run(path, spec, images[:batch], name, precision)


def _run(path: Path, spec: ModelSpec, images: np.ndarray, name: str, precision: str) -> np.ndarray:
    try:
        engine = create_engine(path, spec, engine=name, precision=precision, device="cpu", cache=False)
        return engine.run(images)
    except (ImportError, DependencyError):
        raise
    except Exception as error:  # engines raise many types of their own
        reason = one_line(error, 300) or type(error).__name__
        where = f"{name} at {format_size(images.shape[1:])}, batch {len(images)}"
        raise ExportError(f"the exported file does not run in {where} ({reason}), so no file was written") from error

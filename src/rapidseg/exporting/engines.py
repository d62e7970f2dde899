"""The engines that every exported file is tried in, before it takes its name."""

from __future__ import annotations

import functools
import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np

from rapidseg.core.errors import ExportError
from rapidseg.system.cpu import thread_limit

Engine = Callable[[np.ndarray], np.ndarray]
"""Takes images, (N, H, W, 3) uint8 RGB, and returns logits, (N, K, h, w) float32."""


def _start_onnxruntime(path: Path, *, node_by_node: bool = False) -> Engine:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    if node_by_node:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = thread_limit()
    options.log_severity_level = 4  # what goes wrong is raised as well
    options.enable_cpu_mem_arena = False  # it would keep the memory of the largest size until the end
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda images: session.run(["logits"], {"image": images})[0]


def _start_openvino(path: Path) -> Engine:
    import openvino

    core = openvino.Core()

    def run(images: np.ndarray) -> np.ndarray:
        # As for prediction, the file is specialized to the size. Where bf16 is fast OpenVINO would take it unasked.
        network = core.read_model(path)
        network.reshape({"image": list(images.shape)})
        compiled = core.compile_model(
            network, "CPU", {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": thread_limit()}
        )
        return np.array(compiled(images)["logits"])

    return run


ENGINES = ("onnxruntime", "openvino")
NODE_BY_NODE = "onnxruntime, node by node"  # puts no nodes together, so computes what the standard says, slowly

_STARTS: dict[str, Callable[[Path], Engine]] = {
    "onnxruntime": _start_onnxruntime,
    "openvino": _start_openvino,
    NODE_BY_NODE: functools.partial(_start_onnxruntime, node_by_node=True),
}


def start(name: str, path: Path) -> Engine:
    """Starts one of `ENGINES`, or `NODE_BY_NODE`, on a file.

    Raises:
        ExportError: the engine refuses it.
    """
    try:
        return _STARTS[name](path)
    except ImportError:
        raise
    except Exception as error:  # the engines raise many types of their own
        raise _cannot_run(name, error) from error


def run(name: str, engine: Engine, images: np.ndarray) -> np.ndarray:
    """Runs the engine `name` on (N, H, W, 3) uint8 RGB images.

    Raises:
        ExportError: it fails.
    """
    try:
        return engine(images)
    except Exception as error:
        raise _cannot_run(f"{name} at {images.shape[1]}x{images.shape[2]}, batch {images.shape[0]}", error) from error


def _cannot_run(where: str, error: Exception) -> ExportError:
    reason = textwrap.shorten(str(error), width=300) or type(error).__name__
    return ExportError(f"the exported file does not run in {where} ({reason}), so no file was written")

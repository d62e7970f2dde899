"""Computes a model file by the ONNX standard: node by node in ONNX Runtime, with nothing fused.

This is not an engine that users run. An INT8 file needs it as its reference: the engines fuse its pairs of
QuantizeLinear and DequantizeLinear into integer arithmetic, each in its own way, so none of them can say what the file
means. The float32 file that it was made from is computed in the same way, so that both differ by INT8 alone.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rapidseg.core.errors import ExportError
from rapidseg.system.cpu import cpu_count


class Reference:
    """Computes a model file node by node."""

    def __init__(self, path: Path) -> None:
        """Opens a file.

        Raises:
            ExportError: ONNX Runtime cannot read it.
        """
        import onnxruntime

        onnxruntime.disable_telemetry_events()

        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.intra_op_num_threads = cpu_count()
        options.log_severity_level = 4  # errors are raised as well
        options.enable_cpu_mem_arena = False  # it would hold the memory of the largest size until the end
        try:
            self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its exceptions have no other common base
            raise ExportError(f"ONNX Runtime cannot read {path} ({error}), so no file was written") from error

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Returns the logits, (N, K, h, w) float32, of images, (N, H, W, 3) uint8 RGB, computed image by image."""
        return np.concatenate([self._session.run(["logits"], {"image": image[None]})[0] for image in images])

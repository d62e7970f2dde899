"""The peak matmul rate: an upper bound of what this machine computes, by engine and precision."""

from __future__ import annotations

import time

import numpy as np
import openvino
from openvino import opset13 as opset

from rapidseg.benchmarking.interleaving import repeat_for
from rapidseg.core.errors import EngineError
from rapidseg.runtime.engines.openvino import thread_settings

SIDE = 2048  # of all three matrices; large enough that memory traffic hardly counts
OPERATIONS = 2 * SIDE**3  # multiplications and additions

_MIN_REPEATS = 5  # products per measurement: the first one meets sleeping threads and a low clock rate

_TYPES = {"float32": openvino.Type.f32, "bf16": openvino.Type.bf16, "int8": openvino.Type.f32}
_HINTS = {"float32": "f32", "bf16": "bf16", "int8": "f32"}


class MatrixProduct:
    """A product of two random matrices in OpenVINO, compiled as the OpenVINO engine compiles networks.

    In float32 on a CPU, NumPy computes the same product for comparison.
    """

    def __init__(self, precision: str, device: str, *, side: int = SIDE) -> None:
        """Compiles the product.

        Args:
            precision: float32, bf16 or int8.
            device: a device of OpenVINO.
            side: rows and columns of the matrices.

        Raises:
            EngineError: the precision is unknown.
        """
        if precision not in _TYPES:
            raise EngineError(f"no peak matmul rate for precision {precision!r}; available: {', '.join(_TYPES)}")
        numbers = np.random.default_rng(0).standard_normal((2, side, side), np.float32)
        settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": _HINTS[precision]}
        if device == "cpu":
            settings |= thread_settings()
        self.compiled = openvino.Core().compile_model(_product(precision, numbers[1]), device.upper(), settings)
        self._request = self.compiled.create_infer_request()
        first = openvino.Tensor(_TYPES[precision], [side, side])
        if precision == "bf16":  # NumPy has no bf16: its bits are the upper half of a float32
            first.data.view(np.uint16)[:] = numbers[0].view(np.uint32) >> np.uint32(16)
        else:
            first.data[:] = numbers[0]
        self._request.set_input_tensor(first)
        self._in_numpy = numbers if precision == "float32" and device == "cpu" else None
        self.measure(0)

    def measure(self, seconds: float) -> dict[str, list[float]]:
        """Returns milliseconds of each product: `openvino`, and in float32 also `numpy`."""
        samples: dict[str, list[float]] = {"openvino": []}
        for _ in repeat_for(seconds, _MIN_REPEATS):
            start = time.perf_counter()
            self._request.infer()
            samples["openvino"].append(1e3 * (time.perf_counter() - start))
        if self._in_numpy is not None:
            samples["numpy"] = []
            first, second = self._in_numpy
            for _ in repeat_for(seconds / 2, _MIN_REPEATS):
                start = time.perf_counter()
                first @ second
                samples["numpy"].append(1e3 * (time.perf_counter() - start))
        return samples

    def product(self) -> np.ndarray:
        """Returns the product, (side, side) float32, as OpenVINO computed it last."""
        return np.array(self._request.get_output_tensor().data)

    def describe(self) -> dict[str, object]:
        """Returns an empty description: a product has no engine or precision to report."""
        return {}


def _product(precision: str, matrix: np.ndarray) -> openvino.Model:
    first = opset.parameter(list(matrix.shape), _TYPES[precision], name="first")
    left, right = first, opset.constant(matrix)
    if precision == "bf16":
        left = opset.convert(first, "f32")
    if precision == "int8":  # symmetric: with zero points OpenVINO would compute in floats
        largest = float(np.abs(matrix).max())
        left = _quantized(left, -largest, largest * 127 / 128, 256)
        right = _quantized(right, -largest, largest, 255)
    return openvino.Model([opset.matmul(left, right, False, False)], [first], "matrix_product")


def _quantized(numbers: openvino.Node, low: float, high: float, levels: int) -> openvino.Node:
    ends = opset.constant(np.float32(low)), opset.constant(np.float32(high))
    return opset.fake_quantize(numbers, *ends, *ends, levels)

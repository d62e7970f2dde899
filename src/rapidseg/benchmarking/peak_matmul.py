"""What this machine can do at most: the rate of a large matrix product in the engine, at a precision."""

from __future__ import annotations

import time

import numpy as np
import openvino
from openvino import opset13 as opset

from rapidseg.benchmarking.interleaving import repeat_for
from rapidseg.core.errors import EngineError
from rapidseg.runtime.engines.openvino import thread_settings

SIDE = 2048  # of all three matrices; large enough that reading and writing them hardly counts
OPERATIONS = 2 * SIDE**3  # multiplications and additions

_MIN_REPEATS = 5  # products in a turn: the first finds sleeping threads and a slow clock

_TYPES = {"float32": openvino.Type.f32, "bf16": openvino.Type.bf16, "int8": openvino.Type.f32}
_HINTS = {"float32": "f32", "bf16": "bf16", "int8": "f32"}


class MatrixProduct:
    """One matrix product of random numbers in OpenVINO, compiled as the OpenVINO engine compiles networks.

    For float32 NumPy computes the same for comparison.
    """

    def __init__(self, precision: str, device: str) -> None:
        """Compiles the product.

        Args:
            precision: float32, bf16 or int8.
            device: a device of OpenVINO.

        Raises:
            EngineError: there is no such precision.
        """
        if precision not in _TYPES:
            raise EngineError(f"no matrix product is known for precision {precision!r}; there is {', '.join(_TYPES)}")
        numbers = np.random.default_rng(0).standard_normal((2, SIDE, SIDE), np.float32)
        settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": _HINTS[precision]}
        if device == "cpu":
            settings |= thread_settings()
        self.compiled = openvino.Core().compile_model(_product(precision, numbers[1]), device.upper(), settings)
        self._request = self.compiled.create_infer_request()
        first = openvino.Tensor(_TYPES[precision], [SIDE, SIDE])
        if precision == "bf16":  # NumPy has no such numbers: they are the upper halves of float32
            first.data.view(np.uint16)[:] = numbers[0].view(np.uint32) >> np.uint32(16)
        else:
            first.data[:] = numbers[0]
        self._request.set_input_tensor(first)
        self._in_numpy = numbers if precision == "float32" and device == "cpu" else None
        self.measure(0)

    def measure(self, seconds: float) -> dict[str, list[float]]:
        """Returns milliseconds of each product: `openvino`, and `numpy` in float32."""
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

    def describe(self) -> dict[str, object]:
        """Returns nothing: a product has no choices to tell of."""
        return {}


def _product(precision: str, matrix: np.ndarray) -> openvino.Model:
    first = opset.parameter([SIDE, SIDE], _TYPES[precision], name="first")
    left, right = first, opset.constant(matrix)
    if precision == "bf16":
        left = opset.convert(first, "f32")
    if precision == "int8":  # symmetric, or OpenVINO computes in floats: zero points are too dear for it
        largest = float(np.abs(matrix).max())
        left = _quantized(left, -largest, largest * 127 / 128, 256)
        right = _quantized(right, -largest, largest, 255)
    return openvino.Model([opset.matmul(left, right, False, False)], [first], "matrix_product")


def _quantized(numbers: openvino.Node, least: float, most: float, levels: int) -> openvino.Node:
    ends = opset.constant(np.float32(least)), opset.constant(np.float32(most))
    return opset.fake_quantize(numbers, *ends, *ends, levels)

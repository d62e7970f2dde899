"""Selects the fastest algorithm for a convolution on this device: each is timed and checked against the plain one."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from rapidseg.runtime.engines.torch_onnx.convolutions import Algorithm, Convolution

_CALLS = 10  # timed together
_HEAD_START_CYCLES = 2_000_000  # about a millisecond, in which the GPU waits until all calls are queued
_ROUNDS = 3  # the fastest counts
# Relative to the largest result: fp16 has 11 bits and bf16 8, and algorithms round at different points. A wrong result
# (other padding, a missing bias) is off by far more.
_TOLERANCES = {torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 5e-2}


@dataclass
class Autotuner:
    """Selects an algorithm for each convolution of a network; `TorchNetwork.plan` takes it as `select`.

    Attributes:
        with_triton: whether Triton works on the device.
        selected: names of the selected algorithms, in the order of the convolutions.
        rejected: name and reason of each algorithm that failed or gave a wrong result.
    """

    with_triton: bool
    selected: list[str] = field(default_factory=list)
    rejected: list[tuple[str, str]] = field(default_factory=list)

    def __call__(self, convolution: Convolution, x: Tensor) -> Algorithm:
        """Returns the fastest algorithm for an input, (N, C, H, W)."""
        algorithms = convolution.algorithms(with_triton=self.with_triton)
        if x.device.type != "cuda":  # the other algorithms are made for GPUs
            self.selected.append("plain")
            return algorithms["plain"]
        valid = self.valid(algorithms, x)
        times_ms = {name: self._time_ms(algorithm, x) for name, algorithm in valid.items()}
        fastest = min(times_ms, key=lambda name: times_ms[name])
        self.selected.append(fastest)
        return valid[fastest]

    def valid(self, algorithms: Mapping[str, Algorithm], x: Tensor) -> dict[str, Algorithm]:
        """Returns the algorithms that run and agree with the first one; adds the others to `rejected`."""
        (first, plain), *others = algorithms.items()
        expected = plain(x)
        tolerance = _TOLERANCES[x.dtype] * max(float(expected.abs().max()), 1e-30)
        valid = {first: plain}
        for name, algorithm in others:
            try:
                error = float((algorithm(x) - expected).abs().max())
            except Exception as failure:  # no such kernel for this library, device or shape; Triton's types vary
                self.rejected.append((name, textwrap.shorten(str(failure), 200)))
                continue
            if error <= tolerance:
                valid[name] = algorithm
            else:
                self.rejected.append((name, f"off by {error:.1e}"))
        return valid

    def _time_ms(self, algorithm: Algorithm, x: Tensor) -> float:
        """Measures milliseconds per call on the GPU, without the launch overhead, which a CUDA graph saves."""
        times_ms = []
        for _ in range(_ROUNDS):
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            torch.cuda._sleep(_HEAD_START_CYCLES)
            start.record()
            for _ in range(_CALLS):
                algorithm(x)
            end.record()
            end.synchronize()
            times_ms.append(start.elapsed_time(end) / _CALLS)
        return min(times_ms)

"""Which way of computing a convolution is the fastest here: tried, and held against the plain way."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from rapidseg.runtime.engines.torch_onnx.convolutions import Convolution, Way

_REPEATS = 10  # calls
_HEAD_START = 2_000_000  # clock cycles, about a millisecond, in which the GPU waits while all calls are queued
_TURNS = 3  # the fastest counts
# Of the largest result: fp16 keeps 11 bits and bf16 8, and the ways round at other places. A way that is wrong (other
# padding, a bias left out) is off by far more.
_TOLERANCES = {torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 5e-2}


@dataclass
class Autotuner:
    """Chooses for one convolution after the other; what `TorchNetwork.plan` takes as `choose`.

    Attributes:
        with_triton: whether Triton works on the device.
        taken: the names of the ways that were chosen, in the order of the convolutions.
        refused: way and reason, for each that did not run or was wrong.
    """

    with_triton: bool
    taken: list[str] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)

    def __call__(self, convolution: Convolution, x: Tensor) -> Way:
        """Returns the fastest way for an input, (N, C, H, W)."""
        ways = convolution.ways(with_triton=self.with_triton)
        if x.device.type != "cuda":  # the others were made for GPUs
            self.taken.append("plain")
            return ways["plain"]
        right = self.right(ways, x)
        times_ms = {name: self._time_ms(way, x) for name, way in right.items()}
        name = min(times_ms, key=lambda each: times_ms[each])
        self.taken.append(name)
        return right[name]

    def right(self, ways: Mapping[str, Way], x: Tensor) -> dict[str, Way]:
        """Returns the ways that run and give what the first one gives; notes the others."""
        (first, plain), *others = ways.items()
        expected = plain(x)
        tolerance = _TOLERANCES[x.dtype] * max(float(expected.abs().max()), 1e-30)
        right = {first: plain}
        for name, way in others:
            try:
                difference = float((way(x) - expected).abs().max())
            except Exception as error:  # this library, device or shape has no such kernel; Triton has types of its own
                self.refused.append((name, textwrap.shorten(str(error), 200)))
                continue
            if difference <= tolerance:
                right[name] = way
            else:
                self.refused.append((name, f"off by {difference:.1e}"))
        return right

    def _time_ms(self, way: Way, x: Tensor) -> float:
        """Returns milliseconds of a call on the GPU, without those that starting it takes, which a CUDA graph saves."""
        times_ms = []
        for _ in range(_TURNS):
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            torch.cuda._sleep(_HEAD_START)
            start.record()
            for _ in range(_REPEATS):
                way(x)
            end.record()
            end.synchronize()
            times_ms.append(start.elapsed_time(end) / _REPEATS)
        return min(times_ms)

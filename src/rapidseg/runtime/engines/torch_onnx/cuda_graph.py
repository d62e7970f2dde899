"""CUDA graphs: work of a GPU that is recorded once and then launched as a whole."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

import torch

_WARM_UP_CALLS = 3  # before recording, in which libraries choose kernels and allocate memory

Result = TypeVar("Result")


class CudaGraph(Generic[Result]):
    """A function without arguments that a device runs many times.

    On a GPU it is recorded as a CUDA graph: one launch instead of one per kernel. Its inputs must stay at their
    addresses, and the next call overwrites its result. On a CPU the function is called each time.
    """

    def __init__(self, function: Callable[[], Result], device: torch.device) -> None:
        """On a GPU, calls the function several times, then records it.

        Args:
            function: queues work on the current stream; it may neither wait for the device nor copy from it.
            device: on which it runs.
        """
        self._function = function
        self._graph: torch.cuda.CUDAGraph | None = None
        if device.type != "cuda":
            return
        with torch.cuda.device(device):
            stream = torch.cuda.Stream()
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                for _ in range(_WARM_UP_CALLS):
                    function()
            torch.cuda.current_stream().wait_stream(stream)
            torch.cuda.synchronize()
            torch.cuda.empty_cache()  # of the warm-up; a graph has a memory pool of its own
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.stream(stream):
                # thread_local: other threads may use the GPU meanwhile.
                graph.capture_begin(capture_error_mode="thread_local")
                try:
                    self._result = function()
                except BaseException:
                    with contextlib.suppress(RuntimeError):  # the first error says more
                        graph.capture_end()
                    raise
                graph.capture_end()
            torch.cuda.synchronize()
        self._graph = graph

    def __call__(self) -> Result:
        """Queues the work on the current stream and returns its result."""
        if self._graph is None:
            return self._function()
        self._graph.replay()
        return self._result


@contextlib.contextmanager
def on_device(device: torch.device) -> Iterator[None]:
    """Disables gradients and, for a GPU, makes it the current device; for this thread only.

    It is not PyTorch's inference mode, in which callers could not write into the class maps that they get.
    """
    with torch.no_grad(), torch.cuda.device(device) if device.type == "cuda" else contextlib.nullcontext():
        yield


@contextlib.contextmanager
def library_settings(device: torch.device) -> Iterator[None]:
    """Lets cuDNN benchmark its kernels for each shape, and disables TF32, which has 10 bits of mantissa, not 23.

    The settings apply to the whole process, so they are set only while a network is compiled; the recorded graph keeps
    the kernels that were selected. A caller's `autocast` does not affect the network.
    """
    if device.type != "cuda":
        yield
        return
    before = torch.get_float32_matmul_precision()
    with (
        torch.autocast(device.type, enabled=False),
        torch.backends.cudnn.flags(enabled=True, benchmark=True, deterministic=False, allow_tf32=False),
    ):
        torch.set_float32_matmul_precision("highest")
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(before)

"""Work of a GPU that is recorded once and then started as a whole: CUDA graphs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

import torch

_WARM_UPS = 3  # before recording: libraries choose their kernels and take their memory then

Made = TypeVar("Made")


class CudaGraph(Generic[Made]):
    """A function without arguments that a device repeats.

    On a GPU it is recorded as a CUDA graph: one start instead of one for each kernel. What it reads must stay where it
    is, and what it makes is overwritten by the next call. On a CPU the function is called each time.
    """

    def __init__(self, function: Callable[[], Made], device: torch.device) -> None:
        """On a GPU, calls the function several times, then records it.

        Args:
            function: queues work on the current stream; it may neither wait for the device nor copy from it.
            device: where.
        """
        self._function = function
        self._graph: torch.cuda.CUDAGraph | None = None
        if device.type != "cuda":
            return
        with torch.cuda.device(device):
            stream = torch.cuda.Stream()
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                for _ in range(_WARM_UPS):
                    function()
            torch.cuda.current_stream().wait_stream(stream)
            torch.cuda.synchronize()
            torch.cuda.empty_cache()  # of what trying took; a graph has memory of its own
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.stream(stream):
                # Other threads of the program may go on using the GPU meanwhile.
                graph.capture_begin(capture_error_mode="thread_local")
                try:
                    self._made = function()
                except BaseException:
                    with contextlib.suppress(RuntimeError):  # the first error says more
                        graph.capture_end()
                    raise
                graph.capture_end()
            torch.cuda.synchronize()
        self._graph = graph

    def __call__(self) -> Made:
        """Queues the work on the current stream and returns what it makes."""
        if self._graph is None:
            return self._function()
        self._graph.replay()
        return self._made


@contextlib.contextmanager
def on_device(device: torch.device) -> Iterator[None]:
    """Computes without gradients, on `device` where that is a GPU; sets nothing for other threads.

    Not in PyTorch's inference mode: nobody could write into a class map from it.
    """
    with torch.no_grad(), torch.cuda.device(device) if device.type == "cuda" else contextlib.nullcontext():
        yield


@contextlib.contextmanager
def library_settings(device: torch.device) -> Iterator[None]:
    """Lets cuDNN try its kernels for each shape, and keeps float32 what it is: TF32 has 10 bits for 23.

    The settings hold for the whole process, so they are set only while a network is compiled: what is recorded keeps
    the kernels that were chosen. A caller's `autocast` is none of the network's business.
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

"""One pass of one step before a run writes anything: forward and backward at the run's own shapes."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from rapidseg.core.errors import ConfigError, RapidSegError, TrainingError
from rapidseg.core.out_of_memory import is_out_of_memory
from rapidseg.core.printable import one_line
from rapidseg.core.sizes import SizeHW, format_size
from rapidseg.core.wording import count_of
from rapidseg.system.memory import available_memory_bytes

_MIN_ESTIMATED = 1 << 20  # pixels of a pass from which its memory is estimated before it is tried
_PROBE_SIDE = 64  # pixels; of the images whose memory is measured
_AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}
_MAX_REASON = 200  # characters of a library's message that a message repeats

# How libraries say that memory ran out, in small letters.


@dataclass(frozen=True)
class StepPass:
    """What the network computes at once in a step.

    Attributes:
        images: in one forward pass.
        size_hw: of the images, in pixels.
        raise_images: what to do for more images in a pass.
        save_memory: what to do for less memory.
    """

    images: int
    size_hw: SizeHW
    raise_images: str
    save_memory: str

    def __str__(self) -> str:
        return f"{count_of(self.images, 'image')} of {format_size(self.size_hw)} pixels"

    def no_memory(self, device: str, figures: str = "") -> str:
        """Returns the message about a pass that does not fit."""
        where = "GPU memory" if device == "cuda" else "memory"
        return f"one pass of {self} does not fit in {where}{figures}; {self.save_memory}"


def rehearse(
    module: nn.Module,
    compute_loss: Callable[[int, SizeHW], Tensor],
    step: StepPass,
    *,
    device: Literal["cpu", "cuda"],
    precision: str,
) -> Tensor:
    """Computes a loss and its gradients, and leaves the module and the random numbers as they were.

    Args:
        module: in training mode, on the device.
        compute_loss: returns the loss of a number of images of a size.
        step: the run's own number and size.
        device: where the module is.
        precision: of activations, as the recipe says.

    Returns:
        The loss, a scalar, detached.

    Raises:
        ConfigError: the network cannot compute such a pass, or it does not fit in memory.
    """

    def run(images: int, size_hw: SizeHW) -> Tensor:
        with torch.enable_grad(), _autocast(device, precision):
            return compute_loss(images, size_hw)

    with _restored(module), _explained(step, device):
        if device == "cpu" and step.images * math.prod(step.size_hw) >= _MIN_ESTIMATED:
            _check_memory(module, run, step)
        loss = run(step.images, step.size_hw)
        loss.backward()
        return loss.detach()


def check_finite(loss: Tensor) -> None:
    """Checks the loss of the first batch.

    Raises:
        TrainingError: it is not finite.
    """
    if not torch.isfinite(loss):
        raise TrainingError(
            f"the loss of the first batch is {loss.item()}; check the images with `rapidseg data check`, lower the "
            "weights in the recipe, or set precision=float32"
        )


def _check_memory(module: nn.Module, run: Callable[[int, SizeHW], Tensor], step: StepPass) -> None:
    """Estimates the memory of a pass from that of a small one, since a system may kill a process that asks for it."""
    images, size_hw = min(2, step.images), (_PROBE_SIDE, _PROBE_SIDE)
    own = {tensor.untyped_storage().data_ptr() for tensor in (*module.parameters(), *module.buffers())}
    kept: dict[int, int] = {}  # bytes that wait for the backward pass, by address

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor.detach()

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        run(images, size_hw)
    pixels = step.images * math.prod(step.size_hw) / (images * math.prod(size_hw))
    needed, available = sum(kept.values()) * pixels, available_memory_bytes()
    if available is not None and needed > available:
        figures = f" (at least {needed / 1e9:.3g} GB, and {available / 1e9:.3g} GB are available)"
        raise ConfigError(step.no_memory("cpu", figures))


@contextlib.contextmanager
def _restored(module: nn.Module) -> Iterator[None]:
    """Restores running statistics, other buffers, gradients and random numbers at the end."""
    buffers = {name: buffer.detach().clone() for name, buffer in module.named_buffers()}
    random, on_gpu = torch.get_rng_state(), torch.cuda.is_initialized()
    random_gpu = torch.cuda.get_rng_state_all() if on_gpu else []
    try:
        yield
    finally:
        with torch.no_grad():
            for name, buffer in module.named_buffers():
                buffer.copy_(buffers[name])
        for parameter in module.parameters():
            parameter.grad = None
        torch.set_rng_state(random)
        if random_gpu:
            torch.cuda.set_rng_state_all(random_gpu)


@contextlib.contextmanager
def _explained(step: StepPass, device: str) -> Iterator[None]:
    """Turns errors of PyTorch into the error for users."""
    try:
        yield
    except (MemoryError, RuntimeError, ValueError, IndexError, TypeError) as error:
        if isinstance(error, RapidSegError):
            raise
        if is_out_of_memory(error):
            message = step.no_memory(device)
        elif "more than 1 value per channel" in str(error):
            message = (
                f"batch normalization needs at least 2 images a pass, and this recipe has {step}: {step.raise_images}"
            )
        else:
            reason = one_line(error, _MAX_REASON)
            message = f"the network cannot compute one pass of {step} ({reason}); change the size or the options"
        raise ConfigError(message) from error


def _autocast(device: str, precision: str) -> contextlib.AbstractContextManager[object]:
    if precision not in _AUTOCAST:
        return contextlib.nullcontext()
    return torch.autocast(device, _AUTOCAST[precision])

"""The engine that runs a model, and the bounded cache of what an engine compiled."""

from __future__ import annotations

import abc
import contextlib
import hashlib
import math
import mmap
import os
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from rapidseg.core.errors import ModelFileError, RapidSegError
from rapidseg.core.out_of_memory import is_out_of_memory
from rapidseg.core.printable import one_line
from rapidseg.runtime.engines.backend import Backend, HostBackend
from rapidseg.runtime.engines.process_check import Turn

INPUT, OUTPUT = "image", "logits"  # names of a model file's input and output
NORMALIZED = "normalized"  # name of the tensor that the network itself sees
_EXTERNAL_DATA = b"\x0a\x08location"  # how ONNX begins to say in which file a tensor is
MAX_COMPILED = 8  # input shapes that stay compiled in memory; each holds a copy of the weights and its activations
MAX_COMPILED_PIXELS = 1 << 25  # of all of them: 16 shapes of 1024x2048; activations take some 20 to 200 bytes a pixel
_MAX_REASON = 300  # characters of a library's message

Compiled = TypeVar("Compiled")


class Engine(abc.ABC):
    """Runs a model: images in, logits out. Safe to use from several threads, which take turns, but in one process.

    Attributes:
        name: of the engine, one of `ENGINES`.
        precision: in which the network is computed: "float32", "bf16", "fp16" or "int8".
        device: on which the network runs.
        backend: resizes images, computes class maps, and measures time on that device.
        choice: one sentence that says what was chosen and why.
        warning: what a person must be told about the choice, such as that a GPU is present but not used; None if there
            is nothing to tell.
    """

    def __init__(
        self,
        *,
        name: str,
        precision: str,
        device: str,
        backend: Backend | None = None,
        choice: str | None = None,
        warning: str | None = None,
    ) -> None:
        """Describes the engine.

        Args:
            name, precision, device, warning: see the attributes.
            backend: see the attributes; None: arrays on the CPU.
            choice: see the attributes; None: says that the engine was created directly.
        """
        self.name = name
        self.precision = precision
        self.device = device
        self.backend = backend or HostBackend()
        self.choice = choice or f"{name} in {precision} on {device}, created directly"
        self.warning = warning
        self._turn = Turn()

    def check_process(self) -> None:
        """Raises `EngineError` in a process that was forked from the one that created the engine."""
        self._turn.check_process()

    @abc.abstractmethod
    def compile(self, shape: tuple[int, ...]) -> None:
        """Specializes the network to images of shape (N, H, W, 3), unless that is done already."""

    @abc.abstractmethod
    def upload(self, images: Any) -> Any:
        """Brings images, (N, H, W, 3) uint8 RGB, to the device, in the form that `infer` takes."""

    @abc.abstractmethod
    def infer(self, uploaded: Any) -> Any:
        """Computes the logits, (N, K, h, w), of what `upload` returned, which can be used only once."""

    def run(self, images: np.ndarray) -> np.ndarray:
        """Computes the logits, (N, K, h, w) float32, of images, (N, H, W, 3) uint8 RGB; compiles where needed."""
        logits: np.ndarray = self.infer(self.upload(images))
        return logits


class ShapeCache(Generic[Compiled]):
    """Keeps what was compiled for the input shapes used last.

    It does not keep the function that compiles: that is usually a method of the engine, which would then refer to
    itself, and its memory would wait for the garbage collector.
    """

    def __init__(self, limit: int = MAX_COMPILED, max_pixels: int = MAX_COMPILED_PIXELS) -> None:
        """Takes the number of shapes to keep, and the number of their pixels; the shape used last is always kept."""
        self._limit = limit
        self._max_pixels = max_pixels
        self._compiled: OrderedDict[tuple[int, ...], Compiled] = OrderedDict()

    def get(self, shape: tuple[int, ...], compile_for: Callable[[tuple[int, ...]], Compiled]) -> Compiled:
        """Returns what was compiled for a shape; compiles it where needed."""
        if shape not in self._compiled:
            # Dropped first, so that old and new do not need memory at once.
            while self._compiled and (len(self._compiled) >= self._limit or self._is_large_with(shape)):
                self._compiled.popitem(last=False)
            try:
                compiled = compile_for(shape)
            except Exception as error:
                if not self._compiled or not is_out_of_memory(error):
                    raise
                self._compiled.clear()
                compiled = compile_for(shape)
            self._compiled[shape] = compiled
        self._compiled.move_to_end(shape)
        return self._compiled[shape]

    def _is_large_with(self, shape: tuple[int, ...]) -> bool:
        return sum(math.prod(each[:3]) for each in (shape, *self._compiled)) > self._max_pixels

    def __len__(self) -> int:
        return len(self._compiled)


def file_digest(path: Path) -> str | None:
    """Returns the SHA-256 of a model file, for names of cached models; None where it keeps weights in other files."""
    if os.path.getsize(path) == 0:
        return None
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return None if content.find(_EXTERNAL_DATA) >= 0 else hashlib.sha256(content).hexdigest()


def check_names(path: str | os.PathLike[str], inputs: list[str], outputs: list[str]) -> None:
    """Raises `ModelFileError` unless a file has the input and the output of a model file."""
    if inputs != [INPUT] or outputs != [OUTPUT]:
        raise ModelFileError(
            f"{path} has the inputs {', '.join(inputs)} and the outputs {', '.join(outputs)}, but a model file has "
            f"{INPUT} and {OUTPUT}; export the model again"
        )


@contextlib.contextmanager
def explain_failure(error_type: type[RapidSegError], situation: str, advice: str) -> Iterator[None]:
    """Turns whatever a library raises about a model file into an error for users: `situation: reason; advice`."""
    try:
        yield
    except RapidSegError:
        raise
    except Exception as error:  # the libraries raise errors of many types, a UnicodeDecodeError among them
        if is_out_of_memory(error):  # whose images are known to the caller
            raise
        raise error_type(f"{situation}: {_reason(error)}; {advice}") from error


def _reason(error: Exception) -> str:
    """Returns the last line of a message; the lines before it, of OpenVINO, are locations in its source code."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[-1] if lines and not isinstance(error, KeyError) else f"{type(error).__name__} {error}".strip()
    return one_line(text, _MAX_REASON)

"""What every engine does, and the bounded store of what an engine compiled."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from rapidseg.core.errors import ModelFileError

INPUT, OUTPUT = "image", "logits"  # the names of a model file's input and output
NORMALIZED = "normalized"  # and of the tensor that the network itself sees
MAX_COMPILED = 8  # input shapes that stay compiled in memory; each holds a copy of the weights and its activations

Compiled = TypeVar("Compiled")


class Engine(Protocol):
    """Runs a model file. Safe to use from several threads, which take turns.

    Attributes:
        name, precision, device: what runs, computes in and runs on.
        choice: one sentence that says what was taken, and why.
    """

    name: str
    precision: str
    device: str
    choice: str = "taken as it was given"

    def compile(self, shape: tuple[int, ...]) -> None:
        """Specialises the file to images of shape (N, H, W, 3), unless that is done already."""
        ...

    def prepare(self, images: np.ndarray) -> Any:
        """Returns images, (N, H, W, 3) uint8 RGB, in the form that `infer` takes."""
        ...

    def infer(self, prepared: Any) -> np.ndarray:
        """Returns the logits, (N, K, h, w) float32, of what `prepare` returned, which is used up by it."""
        ...

    def run(self, images: np.ndarray) -> np.ndarray:
        """Returns the logits, (N, K, h, w) float32, of images, (N, H, W, 3) uint8 RGB; compiles where needed."""
        return self.infer(self.prepare(images))


class CompiledByShape(Generic[Compiled]):
    """Keeps what was compiled for the input shapes used last."""

    def __init__(self, compile_for: Callable[[tuple[int, ...]], Compiled], limit: int = MAX_COMPILED) -> None:
        self._compile_for = compile_for
        self._limit = limit
        self._kept: OrderedDict[tuple[int, ...], Compiled] = OrderedDict()

    def __getitem__(self, shape: tuple[int, ...]) -> Compiled:
        if shape not in self._kept:
            self._kept[shape] = self._compile_for(shape)
        self._kept.move_to_end(shape)
        while len(self._kept) > self._limit:
            self._kept.popitem(last=False)
        return self._kept[shape]

    def __len__(self) -> int:
        return len(self._kept)


def check_names(path: str | os.PathLike[str], inputs: list[str], outputs: list[str]) -> None:
    """Raises `ModelFileError` unless a file has the input and the output of a model file."""
    if inputs != [INPUT] or outputs != [OUTPUT]:
        raise ModelFileError(
            f"{path}: has the inputs {', '.join(inputs)} and the outputs {', '.join(outputs)}, but a model file has "
            f"{INPUT} and {OUTPUT}; export the model again"
        )

"""What every engine does, and the bounded store of what an engine compiled."""

from __future__ import annotations

import os
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from rapidseg.core.errors import ModelFileError
from rapidseg.imaging import resize_image
from rapidseg.runtime.kernels.class_map import class_map_from_logits
from rapidseg.runtime.kernels.confidence import confidence_from_logits

INPUT, OUTPUT = "image", "logits"  # the names of a model file's input and output
NORMALIZED = "normalized"  # and of the tensor that the network itself sees
MAX_COMPILED = 8  # input shapes that stay compiled in memory; each holds a copy of the weights and its activations

Compiled = TypeVar("Compiled")


class Engine(Protocol):
    """Runs a model file. Safe to use from several threads, which take turns.

    An engine whose device is not the CPU may keep images, logits and class maps there. All that others know of them
    then is that they have a `shape`, and that they can be indexed.

    Attributes:
        name, precision, device: what runs, computes in and runs on.
        choice: one sentence that says what was taken, and why.
        warning: what a person must be told about it: that a GPU is there but not used; None where there is nothing.
    """

    name: str
    precision: str
    device: str
    choice: str = "taken as it was given"
    warning: str | None = None

    def compile(self, shape: tuple[int, ...]) -> None:
        """Specializes the file to images of shape (N, H, W, 3), unless that is done already."""
        ...

    def prepare(self, images: np.ndarray) -> Any:
        """Returns images, (N, H, W, 3) uint8 RGB, in the form that `infer` takes."""
        ...

    def infer(self, prepared: Any) -> Any:
        """Returns the logits, (N, K, h, w), of what `prepare` returned, which is used up by it."""
        ...

    def run(self, images: np.ndarray) -> np.ndarray:
        """Returns the logits, (N, K, h, w) float32, of images, (N, H, W, 3) uint8 RGB; compiles where needed."""
        logits: np.ndarray = self.infer(self.prepare(images))
        return logits

    def class_maps(
        self, logits: Any, size_hw: tuple[int, int], *, align_corners: bool, confidence: bool = False
    ) -> tuple[Sequence[Any], Sequence[Any] | None]:
        """Returns what the logits that `infer` returned say about each pixel.

        Args:
            logits: (N, K, h, w).
            size_hw: height and width of the class maps.
            align_corners: as in the file's specification.
            confidence: whether to give that, too.

        Returns:
            N class maps, and as many confidences where they were asked for; each (H, W) uint8.
        """
        maps = [class_map_from_logits(one, size_hw, align_corners=align_corners) for one in logits]
        if not confidence:
            return maps, None
        return maps, [confidence_from_logits(one, size_hw, align_corners=align_corners) for one in logits]

    def takes(self, image: object) -> bool:
        """Says whether an image is of a kind that only this engine takes, such as a tensor of its library."""
        return False

    def resize(self, image: Any, size_hw: tuple[int, int]) -> Any:
        """Returns an image, (H, W, 3) uint8, at another size, as `resize_image` does."""
        return resize_image(image, size_hw)

    def give(self, result: Any, like: object) -> Any:
        """Returns a class map or confidence in the form of an image: as an array, or as what this engine `takes`."""
        return result

    def moment(self) -> Any:
        """Returns the moment at which the device comes to what it is asked for next."""
        return time.perf_counter()

    def timings_ms(self, stages: Sequence[str], moments: Sequence[Any]) -> Mapping[str, float]:
        """Returns the milliseconds of each stage, which lie between moments, of which there is one more."""
        return {stage: 1e3 * (moments[place + 1] - moments[place]) for place, stage in enumerate(stages)}


class ShapeCache(Generic[Compiled]):
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

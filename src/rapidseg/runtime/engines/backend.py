"""What surrounds the network on a device: resizing, class maps, transfers and timing."""

from __future__ import annotations

import abc
import itertools
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rapidseg.imaging import resize_image
from rapidseg.runtime.kernels.class_map import class_map_from_logits
from rapidseg.runtime.kernels.confidence import confidence_from_logits


class Backend(abc.ABC):
    """Computes everything but the network itself on one kind of device.

    Images, logits and class maps may stay on the device. Callers may then rely only on their `shape` and on indexing.
    """

    @abc.abstractmethod
    def accepts_tensor(self, image: object) -> bool:
        """Says whether an image is a tensor that this backend accepts as it accepts arrays."""

    @abc.abstractmethod
    def resize(self, image: Any, size_hw: tuple[int, int]) -> Any:
        """Resizes an image, (H, W, 3) uint8, as `rapidseg.imaging.resize_image` does."""

    @abc.abstractmethod
    def class_maps(
        self, logits: Any, size_hw: tuple[int, int], *, align_corners: bool, confidence: bool = False
    ) -> tuple[Sequence[Any], Sequence[Any] | None]:
        """Computes class maps from the logits that the engine's `infer` returned.

        Args:
            logits: (N, K, h, w).
            size_hw: height and width of the class maps.
            align_corners: as in the model's specification.
            confidence: whether to compute confidences, too.

        Returns:
            N class maps, and N confidences or None; each (H, W) uint8.
        """

    @abc.abstractmethod
    def to_input_type(self, result: Any, image: object) -> Any:
        """Converts a class map or confidence to the type of the image that it was computed from.

        Args:
            result: (H, W) uint8, as `class_maps` returned it.
            image: an array, or a tensor that `accepts_tensor`.

        Returns:
            An array for an array; a tensor on the same device for a tensor.
        """

    @abc.abstractmethod
    def record_event(self) -> Any:
        """Records an event: the moment at which the device has done all the work requested so far."""

    @abc.abstractmethod
    def timings_ms(self, stages: Sequence[str], events: Sequence[Any]) -> Mapping[str, float]:
        """Returns the milliseconds of each stage.

        Args:
            stages: names, in order.
            events: what `record_event` returned before the first stage and after each; one more than there are stages.
        """


class HostBackend(Backend):
    """NumPy arrays on the CPU, with compiled loops of our own."""

    def accepts_tensor(self, image: object) -> bool:
        return False

    def resize(self, image: Any, size_hw: tuple[int, int]) -> Any:
        return resize_image(image, size_hw)

    def class_maps(
        self, logits: np.ndarray, size_hw: tuple[int, int], *, align_corners: bool, confidence: bool = False
    ) -> tuple[Sequence[Any], Sequence[Any] | None]:
        maps = [class_map_from_logits(each, size_hw, align_corners=align_corners) for each in logits]
        if not confidence:
            return maps, None
        return maps, [confidence_from_logits(each, size_hw, align_corners=align_corners) for each in logits]

    def to_input_type(self, result: Any, image: object) -> Any:
        return result

    def record_event(self) -> float:
        return time.perf_counter()

    def timings_ms(self, stages: Sequence[str], events: Sequence[float]) -> Mapping[str, float]:
        return {
            stage: 1e3 * (end - start) for stage, (start, end) in zip(stages, itertools.pairwise(events), strict=True)
        }

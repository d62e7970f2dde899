"""Evaluation protocols: how an image is shown to a network, and how its logits become one class map.

Every protocol works with any engine: an image's bytes go in, logits come out. Scores of different protocols cannot be
compared, so each protocol describes itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from rapidseg.core.errors import InputError
from rapidseg.core.sizes import InputSize, format_size
from rapidseg.core.spec import ModelSpec
from rapidseg.evaluation.resampling import Resampling, softmax
from rapidseg.imaging import MINIMUM_SIDE, check_image, check_network_size, input_size_hw, resize_image
from rapidseg.runtime import Segmenter
from rapidseg.runtime.kernels.class_map import class_map_from_logits

if TYPE_CHECKING:
    from rapidseg.runtime.engines.torch_module import TorchModel

SCALES = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)  # of the published multi-scale figures
SUBSAMPLING = (1, 2, 4)  # full, half and quarter resolution: the subsampled input of Fast-SCNN, arXiv 1902.04502


class EvaluationProtocol(Protocol):
    """Predicts class maps in a way that it describes."""

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Returns the class map, (H, W) uint8, of an image, (H, W, 3) uint8 RGB, at the image's own size."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Returns its name, its settings, and a `description` for people, for JSON."""
        ...


@dataclass(frozen=True)
class InputScaling:
    """The size to which a protocol brings an image before the network.

    Attributes:
        input_size: pixels of the shorter side, or (height, width); None: the model's own input size, or else the
            image's own size.
        subsample: divides that size: 1, 2 or 4.

    Raises:
        InputError: `subsample` is another number.
    """

    input_size: InputSize | None = None
    subsample: int = 1

    def __post_init__(self) -> None:
        if self.subsample not in SUBSAMPLING:
            raise InputError(f"subsample is {self.subsample}; allowed are {', '.join(map(str, SUBSAMPLING))}")

    def size_hw(self, image: np.ndarray, spec: ModelSpec) -> tuple[int, int]:
        """Returns the height and width for an image, (H, W, 3) uint8 RGB, each 32 pixels or more.

        Raises:
            InputError: the image is not (H, W, 3) uint8, or a side of the input size is below 32 pixels.
        """
        check_image(image)
        size_hw = input_size_hw((image.shape[0], image.shape[1]), self._input_size(spec), spec.stride)
        return size_hw if self.subsample == 1 else _scaled_hw(size_hw, 1 / self.subsample)

    def to_dict(self, spec: ModelSpec, description: str) -> dict[str, Any]:
        """Returns the settings for JSON, and a protocol's `description` with the settings appended."""
        input_size = self._input_size(spec)
        if isinstance(input_size, int):
            description += f", short side resized to {input_size} pixels"
        elif input_size is not None:
            description += f", resized to {format_size(input_size)}"
        if self.subsample > 1:
            description += f", input subsampled by {self.subsample}"
        return {"subsample": self.subsample, "description": description}

    def _input_size(self, spec: ModelSpec) -> InputSize | None:
        return spec.default_input_size if self.input_size is None else self.input_size


@dataclass(frozen=True)
class WholeImage:
    """The whole image goes through the network once."""

    segmenter: Segmenter
    scaling: InputScaling = InputScaling()

    def __call__(self, image: np.ndarray) -> np.ndarray:
        size_hw = self.scaling.size_hw(image, self.segmenter.spec)
        return self.segmenter(image, input_size=size_hw).class_map

    def to_dict(self) -> dict[str, Any]:
        return {"name": "whole", **self.scaling.to_dict(self.segmenter.spec, "whole image, single scale")}


@dataclass(frozen=True)
class SlidingWindow:
    """Windows that overlap go through the network one by one, and their logits are averaged.

    As OpenMMLab's `slide_inference` does it: windows start every `stride_hw` pixels, the last of a row or column is
    moved back so that it lies inside, and each window's logits are brought to the window's own size before they are
    added. A window that is larger than the image is cut to it, so one that covers the image shows it whole.

    Attributes:
        crop_hw: height and width of a window, 32 pixels or more.
        stride_hw: from one window to the next, down and to the right; not larger than the window, so that every pixel
            is in a window.

    Raises:
        InputError: a size is not allowed.
    """

    segmenter: Segmenter
    crop_hw: tuple[int, int]
    stride_hw: tuple[int, int]
    scaling: InputScaling = InputScaling()

    def __post_init__(self) -> None:
        if min(self.crop_hw) < MINIMUM_SIDE:
            raise InputError(
                f"the crop is {format_size(self.crop_hw)}; each side must be {MINIMUM_SIDE} pixels or more"
            )
        if not all(1 <= step <= side for step, side in zip(self.stride_hw, self.crop_hw, strict=True)):
            raise InputError(
                f"the stride is {format_size(self.stride_hw)} but the crop {format_size(self.crop_hw)}; each side of "
                "the stride must be 1 to the crop's side, or pixels between two windows would be skipped"
            )

    def __call__(self, image: np.ndarray) -> np.ndarray:
        spec = self.segmenter.spec
        size_hw = self.scaling.size_hw(image, spec)
        seen = resize_image(image, size_hw)
        total = np.zeros((spec.labels.num_classes, *size_hw), np.float32)
        windows = np.zeros(size_hw, np.float32)
        for rows in window_slices(size_hw[0], self.crop_hw[0], self.stride_hw[0]):
            for columns in window_slices(size_hw[1], self.crop_hw[1], self.stride_hw[1]):
                self._add(total[:, rows, columns], seen[rows, columns])
                windows[rows, columns] += 1
        total /= windows
        return class_map_from_logits(total, image.shape[:2], align_corners=spec.align_corners)

    def to_dict(self) -> dict[str, Any]:
        description = (
            f"sliding window, crop {format_size(self.crop_hw)}, stride {format_size(self.stride_hw)}, single scale"
        )
        sizes = {"crop_hw": list(self.crop_hw), "stride_hw": list(self.stride_hw)}
        return {"name": "sliding", **sizes, **self.scaling.to_dict(self.segmenter.spec, description)}

    def covers(self, image: np.ndarray) -> bool:
        """Returns whether one window covers a whole image, (H, W, 3) uint8 RGB."""
        sides = zip(self.crop_hw, self.scaling.size_hw(image, self.segmenter.spec), strict=True)
        return all(crop >= side for crop, side in sides)

    def _add(self, total: np.ndarray, window: np.ndarray) -> None:
        logits = self.segmenter.logits(window)
        align_corners = self.segmenter.spec.align_corners
        resampling = Resampling(logits.shape[1:], window.shape[:2], align_corners=align_corners)
        for tile, values in resampling.tiles(logits):
            total[tile] += values


@dataclass(frozen=True)
class MultiScale:
    """The image goes through the network at several sizes, and mirrored; the probabilities are averaged.

    As OpenMMLab's test-time augmentation does it: the image's bytes are resized, the logits of each view are brought
    to the view's size and from there to the image's, and the softmax of all views is averaged with equal weights.

    Attributes:
        scales: factors of the size that the network sees otherwise.
        flip: whether each view is also seen mirrored from left to right.

    Raises:
        InputError: `scales` is empty, or a scale is not above 0.
    """

    segmenter: Segmenter
    scales: tuple[float, ...] = SCALES
    flip: bool = True
    scaling: InputScaling = InputScaling()

    def __post_init__(self) -> None:
        if not self.scales or not all(0 < scale < np.inf for scale in self.scales):
            raise InputError(f"scales are {self.scales}; give numbers above 0, such as 0.5, 1.0, 1.5")

    def __call__(self, image: np.ndarray) -> np.ndarray:
        # At the image's own size this is the plain argmax, without the copy of the whole array that NumPy makes.
        return class_map_from_logits(self.probabilities(image), image.shape[:2], align_corners=False)

    def to_dict(self) -> dict[str, Any]:
        description = "multi-scale " + ", ".join(f"{scale:g}" for scale in self.scales)
        description += " with flip" if self.flip else " without flip"
        settings = {"scales": list(self.scales), "flip": self.flip}
        return {"name": "multi-scale", **settings, **self.scaling.to_dict(self.segmenter.spec, description)}

    def probabilities(self, image: np.ndarray) -> np.ndarray:
        """Returns the mean probabilities, (K, H, W) float32, of an image, (H, W, 3) uint8 RGB.

        It is the only array of that size in memory: views are added to it one after the other.
        """
        size_hw = self.scaling.size_hw(image, self.segmenter.spec)
        total = np.zeros((self.segmenter.spec.labels.num_classes, *image.shape[:2]), np.float32)
        for scale in self.scales:
            view = resize_image(
                image, check_network_size(_rescaled_hw(size_hw, scale), size_hw, f" at scale {scale:g}")
            )
            self._add(total, self.segmenter.logits(view), view)
            if self.flip:
                self._add(total, self.segmenter.logits(view[:, ::-1])[:, :, ::-1], view)
        total /= len(self.scales) * (2 if self.flip else 1)
        return total

    def _add(self, total: np.ndarray, logits: np.ndarray, view: np.ndarray) -> None:
        align_corners = self.segmenter.spec.align_corners
        resampling = Resampling(logits.shape[1:], view.shape[:2], total.shape[1:], align_corners=align_corners)
        for tile, values in resampling.tiles(logits):
            total[tile] += softmax(values)


def predict_multi_scale(
    model: Segmenter | TorchModel, image_rgb: np.ndarray, scales: Sequence[float] = SCALES, flip: bool = True
) -> np.ndarray:
    """Returns class probabilities of an image, averaged over several sizes and their mirror images.

    Args:
        model: a `Segmenter`, or a `rapidseg.models.SegmentationModel` in any mode; its mode does not change.
        image_rgb: (H, W, 3) uint8 RGB.
        scales: factors of the model's input size, if its specification has one, or else of the image's own size.
        flip: whether each view is also seen mirrored from left to right.

    Returns:
        (K, H, W) float32; they sum to 1 over the classes.

    Raises:
        InputError: the image is not (H, W, 3) uint8, or a scale is not above 0.
    """
    segmenter = model if isinstance(model, Segmenter) else Segmenter.from_model(model)
    return MultiScale(segmenter, tuple(scales), flip).probabilities(image_rgb)


def window_slices(length: int, crop: int, stride: int) -> list[slice]:
    """Returns the windows along one axis, from the first pixel to the last."""
    starts = range(0, max(length - crop, 0) + stride, stride)
    ends = [min(start + crop, length) for start in starts]
    return [slice(max(end - crop, 0), end) for end in ends]


def _scaled_hw(size_hw: tuple[int, int], scale: float) -> tuple[int, int]:
    """Returns each side times the scale, rounded as OpenMMLab does, but 32 pixels or more."""
    height, width = (max(MINIMUM_SIDE, int(side * scale + 0.5)) for side in size_hw)
    return height, width


def _rescaled_hw(size_hw: tuple[int, int], scale: float) -> tuple[int, int]:
    """Returns the size of a view as OpenMMLab's `Resize` does.

    It rounds each side, and then fits the image's shape into that size, so a side may become a pixel shorter.
    """
    box_hw = _scaled_hw(size_hw, scale)
    long, short = max(size_hw), min(size_hw)
    return _scaled_hw(size_hw, min(max(box_hw) / long, min(box_hw) / short))

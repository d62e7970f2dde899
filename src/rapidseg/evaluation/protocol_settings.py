"""From the name and the settings of an evaluation protocol to the protocol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from rapidseg.core.choices import ProtocolName
from rapidseg.core.errors import InputError, nearest_hint
from rapidseg.core.sizes import SizeHW
from rapidseg.evaluation.protocols import (
    SCALES,
    EvaluationProtocol,
    InputScaling,
    MultiScale,
    SlidingWindow,
    WholeImage,
)
from rapidseg.runtime import Segmenter

PROTOCOLS: tuple[ProtocolName, ...] = get_args(ProtocolName)


@dataclass(frozen=True)
class ProtocolSettings:
    """A protocol by name, with the settings that were given; None: not given.

    Attributes:
        name: `whole`, `sliding` or `multi-scale`.
        crop: for `sliding`: (height, width) of a window.
        stride: for `sliding`: (height, width) from window to window; not given: two thirds of the crop.
        scales: for `multi-scale`: factors of the input size; not given: those of the published figures.
        flip: for `multi-scale`: whether to add mirrored views; not given: yes.

    Raises:
        InputError: the protocol is unknown, or a setting belongs to another protocol or is missing.
    """

    name: ProtocolName = "whole"
    crop: SizeHW | None = None
    stride: SizeHW | None = None
    scales: Sequence[float] | None = None
    flip: bool | None = None

    def __post_init__(self) -> None:
        if self.name not in PROTOCOLS:
            raise InputError(
                f"unknown protocol {self.name!r}; allowed are {', '.join(PROTOCOLS)}"
                f"{nearest_hint(self.name, PROTOCOLS)}"
            )
        owners = {"crop": "sliding", "stride": "sliding", "scales": "multi-scale", "flip": "multi-scale"}
        for setting, owner in owners.items():
            if getattr(self, setting) is not None and self.name != owner:
                raise InputError(
                    f"{setting} belongs to protocol {owner}, but the protocol is {self.name}; remove it, or choose "
                    f"protocol {owner}"
                )
        if self.name == "sliding" and self.crop is None:
            raise InputError("protocol sliding needs crop, the size of its windows, such as 769x769")

    def protocol(self, segmenter: Segmenter, scaling: InputScaling) -> EvaluationProtocol:
        """Returns the protocol for a model.

        Raises:
            InputError: a size or the scales are not allowed.
        """
        if self.name == "sliding" and self.crop is not None:
            # Two thirds, as 513 of 769 in OpenMMLab's configurations.
            return SlidingWindow(segmenter, self.crop, self.stride or _two_thirds(self.crop), scaling)
        if self.name == "multi-scale":
            scales = SCALES if self.scales is None else tuple(self.scales)
            return MultiScale(segmenter, scales, self.flip is not False, scaling)
        return WholeImage(segmenter, scaling)


def _two_thirds(size_hw: SizeHW) -> SizeHW:
    height, width = (round(side * 2 / 3) for side in size_hw)
    return height, width

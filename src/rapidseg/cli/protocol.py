"""The evaluation protocol that a person asks for with options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rapidseg.core.errors import InputError, nearest_hint
from rapidseg.core.sizes import parse_size

if TYPE_CHECKING:
    from rapidseg.evaluation import EvaluationProtocol, InputScaling
    from rapidseg.runtime import Segmenter

PROTOCOLS = ("whole", "sliding", "multi-scale")


@dataclass(frozen=True)
class ProtocolOptions:
    """The options as they were typed; None for one that was not.

    Raises:
        InputError: the protocol is unknown, or an option belongs to another one or is missing.
    """

    name: str
    crop: str | None
    stride: str | None
    scales: str | None
    flip: bool | None

    def __post_init__(self) -> None:
        if self.name not in PROTOCOLS:
            raise InputError(
                f"--protocol {self.name!r} is unknown; allowed are {', '.join(PROTOCOLS)}"
                f"{nearest_hint(self.name, PROTOCOLS)}"
            )
        given = {
            "--crop": (self.crop, "sliding"),
            "--stride": (self.stride, "sliding"),
            "--scales": (self.scales, "multi-scale"),
            "--flip or --no-flip": (self.flip, "multi-scale"),
        }
        for option, (value, owner) in given.items():
            if value is not None and self.name != owner:
                raise InputError(
                    f"{option} belongs to --protocol {owner}, but the protocol is {self.name}; leave it out, "
                    f"or give --protocol {owner}"
                )
        if self.name == "sliding" and self.crop is None:
            raise InputError("--protocol sliding needs the size of its windows: --crop HEIGHTxWIDTH, such as 769x769")

    def make(self, segmenter: Segmenter, scaling: InputScaling) -> EvaluationProtocol:
        """Returns the protocol over a model.

        Raises:
            InputError: a size or the scales have another form, or are not allowed.
        """
        from rapidseg.evaluation import SCALES, MultiScale, SlidingWindow, WholeImage

        if self.name == "sliding":
            crop_hw = parse_size(self.crop or "")
            # Two thirds, as 513 of 769 in OpenMMLab's configurations.
            stride_hw = parse_size(self.stride) if self.stride else _two_thirds(crop_hw)
            return SlidingWindow(segmenter, crop_hw, stride_hw, scaling)
        if self.name == "multi-scale":
            scales = SCALES if self.scales is None else parse_scales(self.scales)
            return MultiScale(segmenter, scales, self.flip is not False, scaling)
        return WholeImage(segmenter, scaling)


def parse_scales(text: str) -> tuple[float, ...]:
    """Reads numbers with commas between them.

    Raises:
        InputError: the text has another form.
    """
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise InputError(f"scales are numbers with commas between them, such as 0.5,1,1.5, not {text!r}") from error


def _two_thirds(size_hw: tuple[int, int]) -> tuple[int, int]:
    height, width = (round(side * 2 / 3) for side in size_hw)
    return height, width

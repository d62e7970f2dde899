"""One way to run one model, and the lists of names that make several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rapidseg.core.errors import InputError, nearest_hint


@dataclass(frozen=True)
class Configuration:
    """One way to run one model.

    Attributes:
        model: what `rapidseg.load` takes.
        engine, precision, device: as for `rapidseg.load`.
        image_size_hw: height and width of the images, and of the class maps.
        input_size: at which size the network sees them: the shorter side, (height, width), or None for what the
            model was made for.
        batch: images that go through the network at once.
    """

    model: str
    engine: str
    precision: str
    device: str
    image_size_hw: tuple[int, int]
    input_size: int | tuple[int, int] | None
    batch: int = 1

    @property
    def name(self) -> str:
        """The model's name without its folder and suffix."""
        return Path(self.model).stem

    def to_arguments(self) -> dict[str, Any]:
        """Returns everything as what JSON can carry."""
        return asdict(self)

    @classmethod
    def from_arguments(cls, arguments: dict[str, Any]) -> Configuration:
        """Makes of `to_arguments`, after a way through JSON, the same again."""
        size = arguments["input_size"]
        height, width = arguments["image_size_hw"]
        return cls(
            **{
                **arguments,
                "image_size_hw": (height, width),
                "input_size": (size[0], size[1]) if isinstance(size, list) else size,
            }
        )


def parse_names(text: str, what: str, allowed: Sequence[str]) -> tuple[str, ...]:
    """Reads names with commas between them, each once, in their order.

    Raises:
        InputError: one of them is not allowed, or there is none.
    """
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    for name in names:
        if name not in allowed:
            raise InputError(
                f"{what} {name!r} is unknown; allowed are {', '.join(allowed)}, with commas between them"
                f"{nearest_hint(name, list(allowed))}"
            )
    if not names:
        raise InputError(f"no {what} given; allowed are {', '.join(allowed)}, with commas between them")
    return names


def parse_sides(text: str) -> tuple[int, ...]:
    """Reads shorter sides in pixels with commas between them; each is 32 or more.

    Raises:
        InputError: the text has another form.
    """
    sides = tuple(part.strip() for part in text.split(",") if part.strip())
    if not sides or not all(side.isdecimal() and int(side) >= 32 for side in sides):
        raise InputError(f"sizes are shorter sides of 32 pixels or more, such as 1024,768,512, not {text!r}")
    return tuple(dict.fromkeys(int(side) for side in sides))

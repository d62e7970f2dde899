"""A way to run a model, and the reading of lists of names and sizes that make several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rapidseg.core.arguments import as_names
from rapidseg.core.errors import InputError, nearest_hint
from rapidseg.core.sizes import InputSize, SizeHW


@dataclass(frozen=True)
class Configuration:
    """A way to run a model.

    Attributes:
        model: a model as `rapidseg.load` accepts it.
        engine, precision, device: as for `rapidseg.load`.
        image_size_hw: height and width of the images, and of the class maps.
        input_size: size at which the network sees the images: the shorter side, (height, width), or None for the
            model's own.
        batch: images that go through the network at once.
    """

    model: str
    engine: str
    precision: str
    device: str
    image_size_hw: SizeHW
    input_size: InputSize | None
    batch: int = 1

    @property
    def name(self) -> str:
        """The model's name without its folder and suffix."""
        return Path(self.model).stem

    @property
    def label(self) -> str:
        """Model, engine and precision, as messages name a configuration."""
        return f"{self.name} {self.engine} {self.precision}"

    def to_arguments(self) -> dict[str, Any]:
        """Returns all fields in a form that JSON can carry."""
        return asdict(self)

    @classmethod
    def from_arguments(cls, arguments: dict[str, Any]) -> Configuration:
        """Restores a configuration from `to_arguments`, also after a round trip through JSON."""
        size = arguments["input_size"]
        height, width = arguments["image_size_hw"]
        return cls(
            **{
                **arguments,
                "image_size_hw": (height, width),
                "input_size": (size[0], size[1]) if isinstance(size, list) else size,
            }
        )


def installed_engines(device: str) -> tuple[str, ...]:
    """Returns the engines whose packages are installed.

    PyTorch is included only for an NVIDIA GPU: on CPUs it is a baseline, not a way to run models.
    """
    from rapidseg.runtime.engines import ENGINES
    from rapidseg.system.gpu import find_gpu

    gpu = find_gpu() if device == "auto" else None
    on_gpu = device.startswith("cuda") or (gpu is not None and gpu.obstacle is None)
    return tuple(name for name in ENGINES if find_spec(name) is not None and (on_gpu or name != "torch"))


def parse_names(names: str | Sequence[str], kind: str, allowed: Sequence[str]) -> tuple[str, ...]:
    """Reads names, each once, in their order.

    Args:
        names: comma-separated text, or a sequence.
        kind: what they name, for messages, such as `engine`.
        allowed: the names that exist.

    Raises:
        InputError: a name is not allowed, or there is none.
    """
    unique = tuple(dict.fromkeys(as_names(kind, names)))
    for name in unique:
        if name not in allowed:
            raise InputError(
                f"unknown {kind} {name!r}{nearest_hint(name, list(allowed))}; allowed: {', '.join(allowed)} "
                "(comma-separated)"
            )
    if not unique:
        raise InputError(f"no {kind} given; allowed: {', '.join(allowed)} (comma-separated)")
    return unique

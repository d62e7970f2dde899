"""What a run learns from, as its saved state records it: a state is resumed only with the same recipe and images."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rapidseg.core.errors import TrainingError
from rapidseg.training.saved_state import read_state, unreadable_state

_KEY = "rapidseg_run"  # in the saved state


@dataclass(frozen=True)
class ImageNames:
    """The images of a split, by their names.

    Attributes:
        split: such as `train+val`.
        count: number of images.
        checksum: SHA-256 of their names, in order.
    """

    split: str
    count: int
    checksum: str

    @classmethod
    def of(cls, split: str, names: Iterable[str]) -> ImageNames:
        names = list(names)
        text = "\n".join(names).encode("utf-8", "surrogateescape")  # file names need not be UTF-8
        return cls(split, len(names), hashlib.sha256(text).hexdigest())


@dataclass(frozen=True)
class RunIdentity:
    """The recipe and the images of a run.

    Attributes:
        recipe: with every key, as YAML.
        images: by use, `train` or `val`.
    """

    recipe: str
    images: Mapping[str, ImageNames]

    def write_to(self, state: dict[str, Any]) -> None:
        """Adds this to a state that is being saved."""
        images = {use: asdict(names) for use, names in self.images.items()}
        state[_KEY] = {"recipe": self.recipe, "images": images}

    @classmethod
    def read_from(cls, path: Path) -> RunIdentity | None:
        """Returns what a saved state records; None for states of earlier versions, which record nothing.

        Raises:
            TrainingError: the file cannot be read.
        """
        stored = read_state(path, _KEY)
        if stored is None:
            return None
        try:
            identity = cls(stored["recipe"], {use: ImageNames(**names) for use, names in stored["images"].items()})
        except (LookupError, TypeError, AttributeError) as error:
            raise unreadable_state(path, f"its entry {_KEY} is incomplete") from error
        if not isinstance(identity.recipe, str):
            raise unreadable_state(path, f"its entry {_KEY} has no recipe")
        return identity

    def check_images(self, path: Path) -> None:
        """Checks that a saved state is of a run with the same images.

        Raises:
            TrainingError: it is of other images, or cannot be read.
        """
        before = RunIdentity.read_from(path)
        for use, names in self.images.items():
            earlier = None if before is None else before.images.get(use)
            if earlier is None or earlier == names:
                continue
            now = f"{names.count}" if names.count != earlier.count else f"{names.count} with other names"
            raise TrainingError(
                f"the images of data.{use} ({names.split}) changed: the run was started with {earlier.count} images, "
                f"and now there are {now}; resume it with the same images, or start a new run in another folder"
            )

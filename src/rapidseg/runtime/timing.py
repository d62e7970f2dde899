"""Times that are known only later, as those of a GPU."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence


class Timings(Mapping[str, float]):
    """Milliseconds of stages. They are asked for when the first one is read; who reads none does not wait."""

    def __init__(self, stages: Sequence[str], spent: Callable[[], Sequence[float]]) -> None:
        """Takes the names of the stages, and what returns how long each took."""
        self._stages = tuple(stages)
        self._spent = spent

    def __getitem__(self, stage: str) -> float:
        return self._known[stage]

    def __iter__(self) -> Iterator[str]:
        return iter(self._stages)

    def __len__(self) -> int:
        return len(self._stages)

    @functools.cached_property
    def _known(self) -> dict[str, float]:
        return dict(zip(self._stages, self._spent(), strict=True))

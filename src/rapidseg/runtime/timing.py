"""Timings that are known only later, as those of a GPU."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence


class Timings(Mapping[str, float]):
    """Milliseconds per stage. Reading the first one waits for the device; a caller that reads none never waits."""

    def __init__(self, stages: Sequence[str], measure: Callable[[], Sequence[float]]) -> None:
        """Takes the names of the stages, and a function that returns the milliseconds of each."""
        self._stages = tuple(stages)
        self._measure = measure

    def __getitem__(self, stage: str) -> float:
        return self._milliseconds[stage]

    def __iter__(self) -> Iterator[str]:
        return iter(self._stages)

    def __len__(self) -> int:
        return len(self._stages)

    def __reduce__(self) -> tuple[type[dict[str, float]], tuple[dict[str, float]]]:
        return dict, (dict(self),)  # measured now: the device's events belong to this process

    @functools.cached_property
    def _milliseconds(self) -> dict[str, float]:
        return dict(zip(self._stages, self._measure(), strict=True))

"""Measuring in turns: on a machine that others use too, things are only comparable side by side."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol, TypeVar

Key = TypeVar("Key")
Samples = dict[str, list[float]]


class Measured(Protocol):
    """What takes turns."""

    def measure(self, seconds: float) -> Samples:
        """Measures for about so long, once at least; returns milliseconds by what was measured."""
        ...


def repeat_for(seconds: float, least: int = 1) -> Iterator[None]:
    """Gives None `least` times, and again until the time is up."""
    end = time.perf_counter() + seconds
    for _ in range(least):
        yield None
    while time.perf_counter() < end:
        yield None


def run_interleaved(
    workloads: Mapping[Key, Measured],
    *,
    rounds: int,
    seconds: float,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[Key, list[Samples]]:
    """Measures all workloads once in every round, in an order that turns round each time.

    So a machine that grows slower or faster favors none of them.

    Args:
        workloads: what is measured.
        rounds: how often each has its turn.
        seconds: how long about a turn is.
        progress: called after each turn with the number done and of all.

    Returns:
        For each contestant the samples of each round.
    """
    samples: dict[Key, list[Samples]] = {key: [] for key in workloads}
    total, done = rounds * len(workloads), 0
    for number in range(rounds):
        for key in list(workloads)[:: -1 if number % 2 else 1]:
            samples[key].append(workloads[key].measure(seconds))
            done += 1
            progress(done, total)
    return samples


def pooled(rounds: list[Samples], name: str) -> list[float]:
    """Returns the samples of one kind from all rounds."""
    return [sample for samples in rounds for sample in samples.get(name, ())]

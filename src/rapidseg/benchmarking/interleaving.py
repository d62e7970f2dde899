"""Interleaved measurement: on a shared machine, only workloads measured in alternation are comparable."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol, TypeVar

Key = TypeVar("Key")
Samples = dict[str, list[float]]


class Workload(Protocol):
    """Something whose speed can be measured."""

    def measure(self, seconds: float) -> Samples:
        """Measures for about `seconds`, at least once; returns milliseconds by the name of what was timed."""
        ...


def repeat_for(seconds: float, min_count: int = 1) -> Iterator[None]:
    """Yields None at least `min_count` times, and until `seconds` have passed."""
    end = time.perf_counter() + seconds
    for _ in range(min_count):
        yield None
    while time.perf_counter() < end:
        yield None


def run_interleaved(
    workloads: Mapping[Key, Workload],
    *,
    rounds: int,
    seconds: float,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[Key, list[Samples]]:
    """Measures every workload once per round, in an order that reverses from round to round.

    A machine that becomes slower or faster over time therefore favors none of them.

    Args:
        workloads: the workloads by key.
        rounds: number of rounds.
        seconds: approximate length of one measurement.
        progress: called after each measurement with the number done and the total.

    Returns:
        For each workload the samples of each round.
    """
    samples: dict[Key, list[Samples]] = {key: [] for key in workloads}
    total, done = rounds * len(workloads), 0
    for round_index in range(rounds):
        for key in list(workloads)[:: -1 if round_index % 2 else 1]:
            samples[key].append(workloads[key].measure(seconds))
            done += 1
            progress(done, total)
    return samples


def pooled(rounds: list[Samples], name: str) -> list[float]:
    """Returns the samples of one name from all rounds."""
    return [sample for samples in rounds for sample in samples.get(name, ())]

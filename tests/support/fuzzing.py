"""Runs thousands of damaged inputs through one function: each is accepted or refused in one sentence, nothing else."""

from __future__ import annotations

import contextlib
import json
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from rapidseg.core.errors import RapidSegError

resource = pytest.importorskip("resource")  # Windows has neither this nor the alarm

MAX_MESSAGE = 800  # characters of one refusal
MAX_GROWTH = 1 << 28  # of the process, in bytes


class OverTimeError(BaseException):
    """An input took too long; not an `Exception`, which a reader would take for damage."""


@dataclass
class Tally:
    """What came of many inputs.

    Attributes:
        outcomes: number of inputs by kind and outcome: `accepted` and `refused` with or without a comma and detail.
        faults: what else happened, with the number of the input.
        slowest: seconds of the slowest input.
        growth: bytes by which the peak memory of the process grew.
    """

    outcomes: Counter = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    slowest: float = 0.0
    growth: int = 0

    def count(self, outcome: str) -> int:
        """Returns how many inputs had an outcome that begins so."""
        return sum(count for (_, result), count in self.outcomes.items() if result.startswith(outcome))

    def to_json(self) -> str:
        """Returns the counts as one line of JSON."""
        counts = {f"{kind}: {result}": count for (kind, result), count in sorted(self.outcomes.items())}
        return json.dumps(counts | {"slowest_s": round(self.slowest, 3), "growth_bytes": self.growth})


@contextlib.contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raises `OverTimeError` after some seconds."""

    def stop(*_: Any) -> None:
        raise OverTimeError(f"longer than {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def peak_bytes() -> int:
    """Returns the most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def check_message(error: BaseException, path: Path | None = None) -> None:
    """Checks that a refusal is one printable, not too long line, apart from the path in it."""
    message = str(error).replace(str(path), "") if path else str(error)
    assert message.isprintable(), message
    assert len(message) < MAX_MESSAGE, message


def run_inputs(
    inputs: Iterable[tuple[str, bytes]],
    attempt: Callable[[int, Path], str | None],
    *,
    folder: Path,
    names: Callable[[int], str],
    max_seconds: float = 10,
    label: str = "",
) -> Tally:
    """Writes one input after the other to a file and tries it.

    Args:
        inputs: kind and content of each.
        attempt: called with the number of the input and its path; returns an outcome, `accepted` if `None`, and raises
            `RapidSegError` to refuse. Everything else that it raises is a fault.
        folder: for the file; faulty inputs stay in it as `fault-{label}{number}`.
        names: the name of the file, by number.
        max_seconds: per input.
        label: for the names of faulty inputs.
    """
    tally, before = Tally(), peak_bytes()
    for number, (kind, data) in enumerate(inputs):
        path = folder / names(number)
        path.write_bytes(data)
        start = time.perf_counter()
        try:
            with time_limit(max_seconds):
                try:
                    result = attempt(number, path) or "accepted"
                except RapidSegError as error:
                    check_message(error, path)
                    result = "refused"
        except (Exception, OverTimeError) as error:
            (folder / f"fault-{label}{number}").write_bytes(data)
            tally.faults.append(f"{number} ({kind}): {type(error).__name__}: {str(error)[:300]}")
            result = "fault"
        tally.slowest = max(tally.slowest, time.perf_counter() - start)
        tally.outcomes[kind, result] += 1
    tally.growth = peak_bytes() - before
    return tally


def check_tally(tally: Tally, *, accepted: float = 0.05, refused: float = 0.2) -> None:
    """Checks that there was no fault, that memory stayed bounded, and that the damage was neither coarse nor idle.

    Args:
        tally: what came of the inputs.
        accepted: the least share of inputs that must be accepted, else hardly anything is tried behind the first check.
        refused: the least share that must be refused.
    """
    assert not tally.faults, "\n".join(tally.faults[:20])
    assert tally.growth < MAX_GROWTH
    total = sum(tally.outcomes.values())
    assert tally.count("accepted") >= accepted * total, tally.to_json()
    assert tally.count("refused") >= refused * total, tally.to_json()

"""Damaged files of weights, by the thousand: each is read or refused with the error for users; nothing else happens.

The same seed gives the same files. A file that breaks the rule stays in the temporary folder of the test.
"""

from __future__ import annotations

import contextlib
import json
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from rapidseg.checkpoints import StoredTensor, read_checkpoint
from rapidseg.core.errors import ModelFileError, RapidSegError
from rapidseg.importing import recognize_checkpoint
from tests.fuzz.checkpoint_inputs import CANARY, damaged_files

resource = pytest.importorskip("resource")  # Windows has neither this nor the alarm

MAX_SECONDS = 10  # per file; the slowest takes a tenth on an idle core
MAX_GROWTH = 1 << 28  # of the process, in bytes
RECOGNIZED_SHARE = 4  # every fourth file is also recognized


class OverTimeError(BaseException):
    """A file took too long; not an `Exception`, which the reader would take for damage."""


@dataclass
class Tally:
    """What came of many files."""

    outcomes: Counter = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    slowest: float = 0.0
    growth: int = 0


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


def touch(content: Any) -> int:
    """Reads the values of every tensor of a content, and returns their number."""
    seen, waiting, count = set(), [content], 0
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, StoredTensor):
            assert value.numpy().shape == value.shape
            count += 1
        elif isinstance(value, dict):
            waiting += value.values()
        elif isinstance(value, (list, tuple)):
            waiting += value
    return count


def outcome(path: Path, recognize: bool) -> str:
    """Reads a file and says what came of it.

    Raises:
        Exception: anything that no reader may raise.
    """
    try:
        checkpoint = read_checkpoint(path)
    except ModelFileError as error:
        message = str(error).removeprefix(str(path))
        assert message.isprintable(), message
        assert len(message) < 800, message
        result = "refused, generally" if "damaged, or another kind of file" in message else "refused"
    else:
        result = "read" if touch(checkpoint.content) else "read, without tensors"
    if recognize:
        with contextlib.suppress(RapidSegError):
            recognize_checkpoint(path, note=lambda _: None)
    return result


def run(folder: Path, seed: int, count: int, recognize: bool = True) -> Tally:
    """Reads `count` damaged files one after the other; faulty ones stay in the folder."""
    tally, before = Tally(), peak_bytes()
    for number, (kind, data) in enumerate(damaged_files(seed, count)):
        path = folder / f"model{('.pth', '.safetensors', '')[number % 3]}"
        path.write_bytes(data)
        start = time.perf_counter()
        try:
            with time_limit(MAX_SECONDS):
                result = outcome(path, recognize and number % RECOGNIZED_SHARE == 0)
        except (Exception, OverTimeError) as error:
            (folder / f"fault-{seed}-{number}").write_bytes(data)
            tally.faults.append(f"{number} ({kind}): {type(error).__name__}: {str(error)[:300]}")
            result = "fault"
        tally.slowest = max(tally.slowest, time.perf_counter() - start)
        tally.outcomes[kind, result] += 1
    tally.growth = peak_bytes() - before
    return tally


def check(tally: Tally, folder: Path) -> None:
    assert not tally.faults, "\n".join(tally.faults[:20])
    assert tally.growth < MAX_GROWTH
    assert not any(path.name == CANARY for path in folder.rglob("*"))
    read = sum(count for (_, result), count in tally.outcomes.items() if result == "read")
    refused = sum(count for (_, result), count in tally.outcomes.items() if result.startswith("refused"))
    total = sum(tally.outcomes.values())
    assert read > total / 20, "hardly any file is read: the damage is too coarse to find anything"
    assert refused > total / 5


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder that is also the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_damaged_files_are_read_or_refused(folder):
    check(run(folder, seed=1, count=1500, recognize=True), folder)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_many_damaged_files_are_read_or_refused(seed, folder):
    tally = run(folder, seed=100 + seed, count=10_000, recognize=True)
    counts = {f"{kind}: {result}": count for (kind, result), count in sorted(tally.outcomes.items())}
    print(json.dumps(counts | {"slowest_s": round(tally.slowest, 3), "growth_bytes": tally.growth}))  # noqa: T201
    check(tally, folder)

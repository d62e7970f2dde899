"""Damaged files of weights, by the thousand: each is read or refused with the error for users; nothing else happens.

The same seed gives the same files. A file that breaks the rule stays in the temporary folder of the test.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest

from rapidseg.checkpoints import StoredTensor, read_checkpoint
from rapidseg.core.errors import ModelFileError, RapidSegError
from rapidseg.importing import recognize_checkpoint
from tests.fuzz.checkpoint_inputs import CANARY, damaged_files
from tests.support.fuzzing import Tally, check_message, check_tally, run_inputs

RECOGNIZED_SHARE = 4  # every fourth file is also recognized
SUFFIXES = (".pth", ".safetensors", "")


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


def attempt(number: int, path: Path) -> str:
    """Reads a file and says what came of it."""
    try:
        checkpoint = read_checkpoint(path)
    except ModelFileError as error:
        check_message(error, path)
        result = "refused, generally" if "damaged, or another kind of file" in str(error) else "refused"
    else:
        result = "accepted" if touch(checkpoint.content) else "read, without tensors"
    if number % RECOGNIZED_SHARE == 0:
        with contextlib.suppress(RapidSegError):
            recognize_checkpoint(path, note=lambda _: None)
    return result


def run(folder: Path, seed: int, count: int) -> Tally:
    """Reads `count` damaged files one after the other."""
    tally = run_inputs(
        damaged_files(seed, count),
        attempt,
        folder=folder,
        names=lambda number: f"model{SUFFIXES[number % len(SUFFIXES)]}",
        label=f"{seed}-",
    )
    check_tally(tally)
    assert not any(path.name == CANARY for path in folder.rglob("*"))
    return tally


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder that is also the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_damaged_files_are_read_or_refused(folder):
    run(folder, seed=1, count=1500)


@pytest.mark.fuzz
@pytest.mark.parametrize("seed", range(10))
def test_many_damaged_files_are_read_or_refused(seed, folder):
    print(run(folder, seed=100 + seed, count=10_000).to_json())  # noqa: T201

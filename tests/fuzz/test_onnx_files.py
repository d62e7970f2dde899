"""Damaged model files, by the thousand, loaded and run once by each engine.

With a checksum, a file is refused or gives the class map of the sound file. Without one, as version 0.1 wrote them, it
may also give another class map; but no engine ends in a traceback. Engines may die of such files in native code, so
blocks of them run in child processes, and the deaths are counted.
"""

from __future__ import annotations

import json
import multiprocessing
import random
import struct
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import rapidseg
from rapidseg.core.errors import RapidSegError
from rapidseg.runtime.content_check import write_checksum
from tests.support.fuzzing import check_message
from tests.support.tiny_onnx import write_tiny_onnx

ENGINES = ("openvino", "onnxruntime", "torch")
BLOCK = 500  # files per child process
BLOCK_SECONDS = 600
IMAGE = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)


def damaged(content: bytes, seed: int) -> bytes:
    """Returns a damaged copy of a model file; the same seed gives the same bytes."""
    chance = random.Random(seed)
    data = bytearray(content)
    for _ in range(chance.choice((1, 1, 1, 2, 5))):
        place = chance.randrange(len(data))
        # Weights fill most of a file; the graph, its names and the metadata are at both ends.
        if chance.random() < 0.6:
            place = chance.choice((chance.randrange(min(400, len(data))), len(data) - 1 - chance.randrange(400)))
        length = chance.choice((1, 1, 4, 16, 64))
        kind = chance.randrange(6)
        if kind == 0:
            data[place] ^= 1 << chance.randrange(8)
        elif kind == 1:
            data[place : place + length] = bytes(len(data[place : place + length]))
        elif kind == 2:
            data[place : place + length] = chance.randbytes(length)
        elif kind == 3:
            data[place : place + 4] = struct.pack("<f", chance.choice((float("nan"), float("inf"), 1e30)))
        elif kind == 4:
            del data[place : place + length]
        else:
            data[place:place] = data[place : place + length]
        if len(data) < 2:
            break
    return bytes(data)


def outcome(path: Path, engine: str, expected: np.ndarray) -> str:
    """Returns what came of a file: refused, accepted, other classes, or a fault."""
    try:
        class_map = rapidseg.load(path, engine=engine, precision="float32")(IMAGE).class_map
    except RapidSegError as error:
        try:
            check_message(error, path)
        except AssertionError:
            return f"fault: message {str(error)[:200]!r}"
        return "refused"
    except BaseException as error:
        return f"fault: {type(error).__name__}: {str(error)[:200]}"
    return "accepted" if np.array_equal(class_map, expected) else "other classes"


def run_block(content: bytes, folder: str, engine: str, first: int, last: int) -> None:
    """Runs files of the seeds from `first` to before `last`, in a process of its own; a line per file goes to disk."""
    sound = Path(folder) / "sound.onnx"
    expected = rapidseg.load(sound, engine=engine, precision="float32")(IMAGE).class_map
    path = Path(folder) / "model.onnx"
    with (Path(folder) / f"{engine}.jsonl").open("a", buffering=1, encoding="utf-8") as file:
        for seed in range(first, last):
            path.write_bytes(damaged(content, seed))
            file.write(json.dumps([seed, outcome(path, engine, expected)]) + "\n")


def run(folder: Path, *, with_checksum: bool, engine: str, first: int, count: int) -> Counter[str]:
    """Returns the number of files by outcome; `died` are those at which the engine ended its process."""
    write_tiny_onnx(folder / "sound.onnx")
    if with_checksum:
        write_checksum(folder / "sound.onnx")
    content = (folder / "sound.onnx").read_bytes()
    context = multiprocessing.get_context("spawn")
    tally: Counter[str] = Counter()
    seed, end = first, first + count
    while seed < end:
        (folder / f"{engine}.jsonl").unlink(missing_ok=True)
        last = min(seed + BLOCK, end)
        child = context.Process(target=run_block, args=(content, str(folder), engine, seed, last))
        child.start()
        child.join(BLOCK_SECONDS)
        hung = child.is_alive()
        if hung:
            child.kill()
            child.join()
        lines = [json.loads(line) for line in (folder / f"{engine}.jsonl").read_text(encoding="utf-8").splitlines()]
        tally.update(result for _, result in lines)
        seed += len(lines)
        if seed < last:
            tally["fault: longer than a block may take" if hung else "died"] += 1
            (folder / f"died-{engine}-{seed}.onnx").write_bytes(damaged(content, seed))
            seed += 1
    return tally


def check(tally: Counter[str], *, with_checksum: bool) -> None:
    """Checks that nothing but the promised outcomes came."""
    assert not [result for result in tally if result.startswith("fault")], tally
    assert tally["refused"] > 0
    if with_checksum:
        assert not tally["other classes"], tally
        assert not tally["died"], tally


def test_damaged_model_files_are_refused_or_segment_as_before(tmp_path: Path) -> None:
    check(run(tmp_path, with_checksum=True, engine="onnxruntime", first=0, count=300), with_checksum=True)


def test_damaged_model_files_without_a_checksum_end_in_no_traceback(tmp_path: Path) -> None:
    check(run(tmp_path, with_checksum=False, engine="onnxruntime", first=0, count=100), with_checksum=False)


@pytest.mark.fuzz
@pytest.mark.parametrize("with_checksum", [True, False])
@pytest.mark.parametrize("engine", ENGINES)
def test_many_damaged_model_files(engine: str, with_checksum: bool, tmp_path: Path) -> None:
    tally = run(tmp_path, with_checksum=with_checksum, engine=engine, first=1000, count=6000 if with_checksum else 600)
    print(json.dumps({"engine": engine, "checksum": with_checksum, **tally}))  # noqa: T201
    check(tally, with_checksum=with_checksum)

"""Names from lists and paths of outputs, by the thousand: every file stays below its folder, or the name is refused."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rapidseg.core.files import write_bytes
from rapidseg.core.output_paths import MAX_NAME_BYTES, check_output_file, check_output_folder, path_below
from rapidseg.core.printable import printable
from tests.support.fuzzing import Tally, check_tally, run_inputs

PIECES = [
    *(b"..", b".", b"", b"/", b"//", b"\\", b"~", b"~root", b"C:", b"c:\\", b"\\\\server\\", b"https:", b"s3://", b"-"),
    *(
        b"\x00",
        b"\n",
        b"\r",
        b"\x1b[31m",
        b"\xdf",
        b"\xff\xfe",
        b"\xed\xa0\x80",
        b"\xe2\x80\xae",
        b"CON",
        b"NUL",
        b"*?",
    ),
    *(b"a", b"b.png", b".png", b" ", b"x" * 250, b"y" * 300, "é".encode() * 130, "街".encode() * 90, b"z/" * 300),
]


def names(seed: int, number: int) -> Iterator[tuple[str, bytes]]:
    """Yields names that are put together from what has a meaning somewhere."""
    rng = random.Random(seed)
    for _ in range(number):
        parts = rng.choices(PIECES, k=rng.randint(1, 6))
        yield rng.choice(("listed", "file", "folder")), rng.choice((b"", b"/")).join(parts)


def try_names(folder: Path, number: int, seed: int) -> Tally:
    kinds = [kind for kind, _ in names(seed, number)]
    root = folder / "root"
    root.mkdir()
    inputs = folder / "inputs"
    inputs.mkdir()

    def attempt(index: int, source: Path) -> str | None:
        name = os.fsdecode(source.read_bytes())
        if kinds[index] == "folder":
            check_output_folder(root / name)
        elif kinds[index] == "file":
            check_output_file(name, (".png",), inputs=("a", None, name[:-1]))
        else:
            path = path_below(root, name.replace("\0", ""), ".png")
            assert os.path.realpath(path).startswith(f"{os.path.realpath(root)}{os.sep}")
            assert all(len(os.fsencode(part)) <= MAX_NAME_BYTES for part in path.parts)
            printable(str(path)).encode("utf-8")
            if len(os.fsencode(path)) < 4000 and index % 5 == 0:
                write_bytes(path, b"x")
                path.unlink()
        return None

    tally = run_inputs(names(seed, number), attempt, folder=inputs, names=lambda index: "name")
    assert not [path for path in folder.rglob("*") if path.is_file() and path.parent != inputs]
    assert sorted(path.name for path in folder.iterdir()) == ["inputs", "root"]
    sys.stdout.write(f"{tally.to_json()}\n")
    return tally


def test_some_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    check_tally(try_names(tmp_path, 1500, seed=1))


@pytest.mark.fuzz
def test_many_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    check_tally(try_names(tmp_path, 20_000, seed=2))

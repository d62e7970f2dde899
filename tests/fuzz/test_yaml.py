"""YAML of every kind of damage, through every reader of the product: accepted or refused in one sentence.

The same seed gives the same texts. A text that breaks the rule stays in the temporary folder of the test.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from rapidseg.cli.options.common import parse_options
from rapidseg.core.strict_yaml import parse_yaml
from rapidseg.data.layouts.yaml_schema import read_description
from rapidseg.recipes import recipe_text
from rapidseg.recipes.catalog import find_recipe
from rapidseg.recipes.recipe_file import is_data_description, load_pretraining_recipe, load_recipe, parse_recipe
from rapidseg.recipes.schema import Recipe
from rapidseg.runtime.tuned_file import read_tuned
from rapidseg.workflows.names import splits_of_dataset
from tests.support.fuzzing import Tally, check_tally, run_inputs

pytest.importorskip("torch")

TUNED = """\
rapidseg: 0.1.0
model: fast-scnn-cityscapes
sha256: {sha}
engine: openvino
precision: float32
device: cpu
input_short_side: 512
measured: {{image_size_hw: [1024, 2048], path_ms: 9.5, path_ms_p5: 9.1, path_ms_p95: 9.9, frames_per_s: 105.2}}
machine: {{cpu: x, cpus: 2, system: Linux}}
""".format(sha="0" * 64)
DATA = """\
name: streets
root: .
classes: {road: [128, 64, 128], car: [0, 0, 142]}
ignore_index: 255
mask_format: ids
label_map: {7: road, 26: car, other: ignore}
image_suffix: .jpg
splits:
  train: {images: images/train, masks: masks/train}
  val: {images: images/val, masks: masks/val, list: val.txt}
"""
MERGED = """\
extends: tiny
shared: &shared {kind: sgd, lr: 0.05, weight_decay: 4e-5}
optimizer: {<<: *shared, momentum: 0.8}
data: {root: scenes, extra_datasets: [&x {name: camvid, root: y, split: train}, *x]}
"""

# What a scalar, a key or a whole line is replaced by.
HOSTILE = (
    *("2024-02-30", "2024-01-01", "0x", "0x_", "!!int foo", "!!int ''", "!!float x", "!!bool x", "!!timestamp x"),
    *("9" * 5000, "0x" + "f" * 5000, "1:" * 3000 + "1", "1e999", ".nan", "-.inf", "1e308", "18446744073709551616"),
    *("[" * 500 + "]" * 500, "{a: " * 80 + "}" * 80, "- " * 70 + "a", "&a [*a]", "&b {<<: *b}", "*nothing"),
    *("~nobody/x", "~/x", '"\\0"', '"\\ud800"', '"\\U00110000"', "a" * 5000, "x/" * 3000, '"\\x1b[31m"', "'\u202e'"),
    *("!!set {a, b}", "!!omap [a: 1]", "!!binary eA==", "!!python/name:os.system x", "!foo x", "!!map x", "!!str [a]"),
    *("{1: a, '1': b}", "{null: 1}", "{2024-01-01: 1}", "{[a]: 1}", "? [a]\n: 1", "<<: 3", "<<: [1]", "=", "%YAML 9"),
    *(
        "null",
        "[]",
        "{}",
        "''",
        "true",
        "-1",
        "0",
        "1e6",
        "[1, [2, [3]]]",
        "|\n  text",
        ">-\n  folded",
        "\t",
        "---",
        "...",
    ),
)
LAUGHS = "\n".join(["k0: &k0 [x, x, x]", *(f"k{n}: &k{n} [{', '.join([f'*k{n - 1}'] * 9)}]" for n in range(1, 9))])


def seeds() -> tuple[str, ...]:
    """Returns valid texts of every kind of file."""
    recipes = [recipe_text(name) for name in ("tiny", "own-data", "cityscapes/fast-scnn", "camvid/fast-scnn")]
    return (TUNED, DATA, MERGED, LAUGHS, *recipes, recipe_text("byol_cifar10", "pretraining"))


def damaged_texts(seed: int, count: int) -> Iterator[tuple[str, bytes]]:
    """Yields kind and bytes of damaged texts."""
    rng = random.Random(seed)
    texts = seeds()
    changes = {"scalar": _scalar, "line": _line, "bytes": _bytes, "spliced": _splice, "cut": _cut, "noise": _noise}
    for _ in range(count):
        kind = rng.choice(list(changes))
        data = rng.choice(texts).encode()
        for _ in range(rng.choice((1, 1, 1, 2, 5))):
            data = changes[kind](rng, data, texts)
        yield kind, data


def _scalar(rng: random.Random, data: bytes, texts: tuple[str, ...]) -> bytes:
    lines = data.decode("utf-8", "replace").split("\n")
    index = rng.randrange(len(lines))
    before, separator, _ = lines[index].partition(": ")
    lines[index] = f"{before}{separator or ': '}{rng.choice(HOSTILE)}"
    return "\n".join(lines).encode("utf-8", "replace")


def _line(rng: random.Random, data: bytes, texts: tuple[str, ...]) -> bytes:
    lines = data.decode("utf-8", "replace").split("\n")
    index = rng.randrange(len(lines))
    indent = " " * rng.randrange(5)
    change = rng.randrange(4)
    if change == 0:
        lines.insert(index, f"{indent}{rng.choice(HOSTILE)}: {rng.choice(HOSTILE)}")
    elif change == 1:
        lines.insert(index, lines[rng.randrange(len(lines))])
    elif change == 2:
        lines[index] = indent + lines[index].lstrip()
    else:
        del lines[index]
    return "\n".join(lines).encode("utf-8", "replace")


def _bytes(rng: random.Random, data: bytes, texts: tuple[str, ...]) -> bytes:
    changed = bytearray(data or b" ")
    for _ in range(rng.choice((1, 3, 20))):
        changed[rng.randrange(len(changed))] = rng.choice((rng.randrange(256), *b":-[]{}&*!|>'\"%@`#,? \n\t"))
    return bytes(changed)


def _splice(rng: random.Random, data: bytes, texts: tuple[str, ...]) -> bytes:
    other = rng.choice(texts).encode()
    return data[: rng.randrange(len(data) + 1)] + other[rng.randrange(len(other)) :]


def _cut(rng: random.Random, data: bytes, texts: tuple[str, ...]) -> bytes:
    start = rng.randrange(len(data) + 1)
    return data[:start] + data[start + rng.randrange(60) :]


def _noise(rng: random.Random, data: bytes, texts: tuple[str, ...]) -> bytes:
    return bytes(rng.choice(b"ab1:-[]{}&*!|>'\"%@#,? \n\t\x00\xff\xc3") for _ in range(rng.randrange(200)))


def attempt(number: int, path: Path) -> str | None:
    """Reads a text with one of the readers, in turns."""
    readers = (
        load_recipe,
        read_description,
        load_pretraining_recipe,
        read_tuned,
        is_data_description,
        _as_override,
        _as_saved_recipe,
        _as_option,
    )
    splits_of_dataset(str(path))  # completion in a shell: silent whatever the file is
    readers[number % len(readers)](path)
    return None


def _as_override(path: Path) -> None:
    text = path.read_bytes().decode("utf-8", "surrogateescape")
    load_recipe("tiny", ["data.root=x", f"model.options={text}"])


def _as_saved_recipe(path: Path) -> None:
    parse_recipe(path.read_bytes().decode("utf-8", "surrogateescape"), Recipe, "last.ckpt")


def _as_option(path: Path) -> None:
    parse_options([f"width={path.read_bytes().decode('utf-8', 'surrogateescape')}"])


def run(folder: Path, seed: int, count: int) -> Tally:
    tally = run_inputs(
        damaged_texts(seed, count),
        attempt,
        folder=folder,
        names=lambda number: f"file{number % 3}.yaml",
        label=f"{seed}-",
        max_seconds=5,
    )
    check_tally(tally)
    return tally


def test_the_texts_that_are_damaged_are_valid_at_first():
    for text in seeds():
        if text != LAUGHS:
            assert isinstance(parse_yaml(text), dict)
    assert find_recipe("tiny").is_file()


def test_damaged_texts_are_read_or_refused(tmp_path):
    run(tmp_path, seed=1, count=500)


@pytest.mark.fuzz
@pytest.mark.parametrize("seed", range(5))
def test_many_damaged_texts_are_read_or_refused(seed, tmp_path):
    print(run(tmp_path, seed=200 + seed, count=4000).to_json())  # noqa: T201

"""Descriptions of data sets, lists and polygon files, sound and damaged; the same seed gives the same files."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import yaml

from rapidseg.core.cityscapes_labels import CITYSCAPES_LABELS

_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 254, 255, 256, 65535, 65536, 1 << 40, 10**30, 0.5, 1e308, float("nan")),
    *(
        "",
        " ",
        "x",
        "road",
        "ignore",
        "other",
        "ids",
        "colors",
        "colours",
        ".",
        "..",
        "/",
        "~",
        "~nobody/x",
        "\0",
        "é\u202e",
    ),
    *("1 2 3", "1,2,3", "0x10", "1e3", "images", "masks", "train.txt", ".png", "a" * 5000),
    *([], {}, [1, 2, 3], [300, 0, 0], ["a", "b"], {"a": "b"}, [[]], {"images": "images", "masks": "masks"}),
)
_LINES = (
    *(
        "0",
        "1",
        "2",
        "0.png",
        "1.png",
        "images/0.png",
        "./1.png",
        "images\\0.png",
        "C:\\x\\0.png",
        "0,1",
        "0 1",
        "0\t1",
    ),
    *(
        "image,mask",
        "# list",
        '"0.png"',
        "images/0.png masks/0.png",
        "images/1.png,masks/1.png",
        "images/2.png\tmasks/2.png",
    ),
    *(
        "../images/0.png ../masks/0.png",
        "/images/0.png /masks/0.png",
        "//",
        ".",
        "..",
        "~",
        "\0",
        "x" * 3000,
        "é",
        "\u2028",
    ),
    *(
        "images/0.png masks/1.png",
        "masks/0.png images/0.png",
        "images masks",
        "0.PNG",
        "%s",
        "{}",
        "*",
        "[0]",
        "\x1b[31m",
    ),
)
_SNIPPETS = (
    *("\n", "  ", ":", "- ", "{", "}", "[", "]", "&a ", "*a", "!!int ", "'", '"', "#", "\t", "---\n", "<<: ", "-", ","),
    *("9" * 400, "[" * 300, "\u0085", "\ufeff", "1e999", "null", "\\u0000", "\\ud800", "NaN", "Infinity"),
)
_ENCODINGS = ("utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "latin-1", "cp1252")


def sound_description(chance: random.Random) -> dict[str, Any]:
    """Returns the content of a description that fits the folders of the test."""
    split: dict[str, Any] = {"images": "images", "masks": "masks"}
    if chance.random() < 0.4:
        split["list"] = "names.txt"
    elif chance.random() < 0.3:
        split = {"list": "pairs.txt"}
    content: dict[str, Any] = {"classes": ["road", "sky", "car"], "splits": {"train": split}}
    if chance.random() < 0.5:
        content["classes"] = {"road": [128, 64, 128], "sky": [70, 130, 180], "car": [0, 0, 142]}
    for key, value in {
        "name": "mine",
        "root": ".",
        "ignore_index": 255,
        "label_map": {0: "road", 1: "sky", 2: "car", "other": "ignore"},
        "mask_format": "ids",
        "image_suffix": ".png",
        "mask_suffix": ".png",
    }.items():
        if chance.random() < 0.3:
            content[key] = value
    return content


def damaged_descriptions(seed: int, count: int) -> Iterator[tuple[str, bytes]]:
    """Yields `count` files of YAML, and how each was made."""
    chance = random.Random(seed)
    for _ in range(count):
        content = sound_description(chance)
        kind = chance.choice(("sound", "value", "key", "value", "text", "bytes"))
        if kind == "value":
            for _ in range(chance.choice((1, 1, 2))):
                _replace_value(chance, content)
        elif kind == "key":
            target = chance.choice([content, content["splits"], _first(content["splits"])])
            key = chance.choice(list(target))
            target[chance.choice([*"xyz", f"{key}s", 1, None, True, "a+b"])] = target.pop(key)
        data = yaml.safe_dump(content, sort_keys=False, allow_unicode=True).encode()
        if kind == "text":
            data = _changed_text(chance, data.decode()).encode("utf-8", "replace")
        elif kind == "bytes":
            data = _changed_bytes(chance, data)
        yield kind, data


def damaged_lists(seed: int, count: int) -> Iterator[tuple[str, bytes]]:
    """Yields `count` lists of files, and how each was made."""
    chance = random.Random(seed)
    for _ in range(count):
        kind = chance.choice(("sound", "names", "pairs", "names", "bytes"))
        sound = chance.choice((["0", "1.png", "2"], ["images/0.png masks/0.png", "images/1.png,masks/1.png"]))
        lines = list(sound)
        if kind in ("names", "pairs"):
            lines = [chance.choice((*_LINES, *sound, *sound, *sound)) for _ in range(chance.randrange(6))]
        text = chance.choice(("\n", "\n", "\r\n", "\r", "\n\n")).join(lines)
        encoding = chance.choice(_ENCODINGS) if kind != "sound" else "utf-8"
        data = text.encode(encoding, "replace")
        yield kind, _changed_bytes(chance, data) if kind == "bytes" and data else data


def damaged_polygons(seed: int, count: int) -> Iterator[tuple[str, bytes]]:
    """Yields `count` polygon files in the format of Cityscapes, and how each was made."""
    chance = random.Random(seed)
    labels = [label.name for label in CITYSCAPES_LABELS]
    for _ in range(count):
        objects = [
            {
                "label": chance.choice(labels) + chance.choice(("", "", "group")),
                "polygon": [[chance.uniform(-9, 70), chance.randrange(-9, 50)] for _ in range(chance.randrange(2, 8))],
                "deleted": chance.choice((0, 0, 0, 1)),
            }
            for _ in range(chance.randrange(6))
        ]
        content: dict[str, Any] = {"imgHeight": 40, "imgWidth": 60, "objects": objects}
        kind = chance.choice(("sound", "value", "value", "text", "bytes"))
        if kind == "value":
            for _ in range(chance.choice((1, 1, 2))):
                _replace_value(chance, content)
        data = json.dumps(content).encode()
        if kind == "text":
            data = _changed_text(chance, data.decode()).encode("utf-8", "replace")
        elif kind == "bytes":
            data = _changed_bytes(chance, data)
        yield kind, data


def _first(mapping: dict) -> dict:
    value = next(iter(mapping.values()), None)
    return value if isinstance(value, dict) and value else mapping


def _replace_value(chance: random.Random, content: Any) -> None:
    """Replaces a value anywhere in a document."""
    value = content
    while True:
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        if not keys:
            return
        key = chance.choice(keys)
        if isinstance(value[key], dict | list) and chance.random() < 0.7:
            value = value[key]
            continue
        # A copy, so that no value of the pool is changed by a second replacement.
        value[key] = json.loads(json.dumps(chance.choice(_VALUES)))
        return


def _changed_text(chance: random.Random, text: str) -> str:
    for _ in range(chance.choice((1, 1, 2, 4))):
        place = chance.randrange(len(text) + 1)
        snippet = chance.choice(_SNIPPETS)
        text = text[:place] + snippet + text[place + chance.choice((0, 0, 1, 5)) :]
    return text


def _changed_bytes(chance: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 3, 9))):
        place = chance.randrange(len(changed) + 1)
        changed[place : place + chance.choice((0, 1, 1, 4))] = chance.randbytes(chance.choice((0, 1, 1, 3)))
    return bytes(changed)

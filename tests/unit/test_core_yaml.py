"""YAML files: duplicate keys, aliases, numbers, and every way in which a file is not what it should be."""

from __future__ import annotations

import time

import pytest
import yaml

from rapidseg.core.errors import ConfigError
from rapidseg.core.strict_yaml import MAX_ALIASED_VALUES, explain_yaml, parse_yaml, read_yaml

ADVICE = "see the docs"


def explain(text: str) -> str:
    with pytest.raises(yaml.YAMLError) as caught:
        parse_yaml(text)
    return explain_yaml(caught.value)


def test_numbers_are_those_of_yaml_1_2():
    assert parse_yaml("[1e-4, 1.5e3, .5, 7, -2E+2]") == [1e-4, 1500.0, 0.5, 7, -200.0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3", " at line 3: duplicate key 'a'"),
        ("a:\n  b: 1\n  b: 1", " at line 3: duplicate key 'b'"),
        ("- {3: a, 3: b}", " at line 1: duplicate key 3"),
        ("a: [1", " at line 1: expected ',' or ']', but got '<stream end>'"),
        ("a: 1\n---\nb: 1", " at line 2: but found another document"),
        ("? [1, 2]\n: 3", " at line 1: found unhashable key"),
        ("a: !!python/object:os.system x", " at line 1: could not determine a constructor"),
        ("a: 2024-02-30", ": day is out of range for month"),
        ("a: \x01", ": unacceptable character #x0001"),
        ("a: &a [1, *a]", " at line 1: an alias refers to a value that contains it"),
        ("[" * 20000 + "]" * 20000, ": its lists and mappings are nested too deeply"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(text, message):
    assert explain(text).startswith(message)
    assert "\n" not in explain(text)


def test_aliases_and_merge_keys_work():
    text = "base: &base {a: 1, b: 2}\nmore: &more {<<: *base, b: 3}\nmost: {<<: *more, b: 4, c: *base}"
    assert parse_yaml(text) == {
        "base": {"a": 1, "b": 2},
        "more": {"a": 1, "b": 3},
        "most": {"a": 1, "b": 4, "c": {"a": 1, "b": 2}},
    }


def exploding(levels: int, line: str) -> str:
    lines = ["k0: &k0 {x: y}"]
    lines += [f"k{level}: &k{level} " + line.format(f"*k{level - 1}") for level in range(1, levels)]
    return "\n".join(lines)


@pytest.mark.parametrize("line", ["[{0}, {0}, {0}, {0}]", "{{a: {0}, b: {0}, c: {0}}}", "{{<<: [{0}, {0}, {0}, {0}]}}"])
def test_aliases_that_expand_without_bound_are_rejected_at_once(line, tmp_path):
    path = tmp_path / "laughs.yaml"
    path.write_text(exploding(60, line))
    start = time.perf_counter()
    with pytest.raises(ConfigError, match=r"laughs\.yaml is not valid YAML: its aliases expand to [\d,]+ more values"):
        read_yaml(path, "a recipe", advice=ADVICE)
    assert time.perf_counter() - start < 5


def test_a_large_file_without_aliases_is_read():
    values = list(range(MAX_ALIASED_VALUES // 10))
    assert parse_yaml(yaml.safe_dump({"a": values, "b": values}, default_flow_style=True)) == {"a": values, "b": values}


def test_read_yaml_returns_the_keys_and_values(tmp_path):
    path = tmp_path / "file.yaml"
    path.write_text("name: Zürich\nsize: [3, 4]\n", encoding="utf-8")
    assert read_yaml(path, "a recipe", advice=ADVICE) == {"name": "Zürich", "size": [3, 4]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"- 1", "{path} is not a recipe: it contains a list, not keys with values; see the docs"),
        (b"", "{path} is not a recipe: it contains nothing, not keys with values; see the docs"),
        (b"text", "{path} is not a recipe: it contains a single value, not keys with values; see the docs"),
        (b"\x89PNG\xff", "{path} is not a recipe: it is not UTF-8 text; see the docs"),
        (b"a: 1\na: 2", "{path} is not valid YAML at line 2: duplicate key 'a'; see the docs"),
    ],
)
def test_a_file_that_is_something_else_is_explained(content, message, tmp_path):
    path = tmp_path / "file.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        read_yaml(path, "a recipe", advice=ADVICE)
    assert str(caught.value) == message.format(path=path)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"^cannot read .*absent\.yaml: No such file or directory; see the docs$"):
        read_yaml(tmp_path / "absent.yaml", "a recipe", advice=ADVICE)
    with pytest.raises(ConfigError, match=r"^cannot read .*: Is a directory; see the docs$"):
        read_yaml(tmp_path, "a recipe", advice=ADVICE)

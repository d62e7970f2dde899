"""YAML files: duplicate keys, aliases, numbers, and every way in which a file is not what it should be."""

from __future__ import annotations

import os
import time

import pytest
import yaml

from rapidseg.core.errors import ConfigError
from rapidseg.core.strict_yaml import MAX_ALIASED_VALUES, dump_yaml, explain_yaml, parse_yaml, read_yaml

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
        ("a: 2024-02-30", " at line 1: '2024-02-30' is not a date"),
        ("a: 1\nb: 2024-01-01T99:99:99Z", " at line 2: '2024-01-01T99:99:99Z' is not a date"),
        ("a: !!timestamp soon", " at line 1: 'soon' is not a date"),
        ("a: 0x_", " at line 1: '0x_' is not an integer"),
        ("a: !!int foo", " at line 1: 'foo' is not an integer"),
        ("a: !!int ''", " at line 1: '' is not an integer"),
        ("a: !!float foo", " at line 1: 'foo' is not a number"),
        ("a: !!bool foo", " at line 1: 'foo' is not true or false"),
        ("a: " + "9" * 5000, " at line 1: a number of 5,000 characters, and 100 are allowed"),
        ("a: 0x" + "f" * 5000, " at line 1: a number of 5,002 characters"),
        ("a: " + ":".join(["1"] * 50_000), " at line 1: a number of 99,999 characters"),
        ("a: !!binary eA==", " at line 1: the tag '!!binary' is not allowed"),
        ("!!set {a, b}", " at line 1: the tag 'tag:yaml.org,2002:set' is not allowed"),
        ("!!omap [a: 1]", " at line 1: the tag 'tag:yaml.org,2002:omap' is not allowed"),
        ("!!map foo: 1", ": unhashable type"),
        ('a: "\\ud800"', " at line 1: '\\ud800' contains characters that are not Unicode"),
        ('a: "\\U00110000"', ": chr() arg not in range"),
        ("a: \udcff", ": it contains characters that are not Unicode"),
        ("<<: 3", " at line 1: expected a mapping or list of mappings for merging"),
        ("a: &a {<<: *a}", " at line 1: an alias refers to a value that contains it"),
        ("[" * 500 + "]" * 500, ": its lists and mappings are nested too deeply; 64 levels are allowed"),
        ("{a: " * 500 + "}" * 500, ": its lists and mappings are nested too deeply"),
        ("- " * 500 + "a", ": its lists and mappings are nested too deeply"),
        ("a" * 3_000_000, ": it has 3,000,000 characters, and 2,000,000 are allowed"),
        ("a: *" + "b" * 1000, " at line 1: found undefined alias 'bbb"),
        ("a: \x01", ": unacceptable character #x0001"),
        ("a: &a [1, *a]", " at line 1: an alias refers to a value that contains it"),
        ("[" * 20000 + "]" * 20000, ": its lists and mappings are nested too deeply"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(text, message):
    assert explain(text).startswith(message)
    assert explain(text).isprintable()
    assert len(explain(text)) < 250


def test_what_is_dumped_is_read_as_the_same_values():
    values = {
        "a": ["1e-3", "0x1F", "2024-01-01", "null", "yes", "1:30", "=", "<<", "~", ""],
        "b": [1e-320, 1e16, -0.0, 7],
    }
    assert parse_yaml(dump_yaml(values)) == values


def test_a_date_is_the_text_that_was_written():
    assert parse_yaml("{a: 2024-02-29, 2001-01-01: b}") == {"a": "2024-02-29", "2001-01-01": "b"}


def test_what_an_alias_repeats_is_a_value_of_its_own():
    values = parse_yaml("a: &a {x: [1]}\nb: *a\nc: {<<: *a}")
    values["a"]["x"].append(2)
    assert values["b"] == values["c"] == {"x": [1]}


def test_aliases_of_long_texts_are_counted_too():
    text = f"a: &a {'x' * 100_000}\nb: [{', '.join(['*a'] * 200)}]"
    assert explain(text).startswith(": its aliases repeat 20,000,000 characters of text, and 10,000,000 are allowed")
    assert len(parse_yaml(text.replace("x" * 100_000, "x"))["b"]) == 200


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
        ("a: 1".encode("utf-16"), "{path} is not a recipe: it is UTF-16 text; save it as UTF-8; see the docs"),
        (b"a" * 8_000_001, "{path} is not a recipe: it has more than 2,000,000 characters; see the docs"),
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
    with pytest.raises(ConfigError, match=r"^cannot read .*: embedded null byte; see the docs$"):
        read_yaml("a\0b.yaml", "a recipe", advice=ADVICE)
    with pytest.raises(ConfigError, match=r"^cannot read aaa.*: File name too long; see the docs$"):
        read_yaml("a" * 300, "a recipe", advice=ADVICE)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/zero"):
        with pytest.raises(ConfigError, match=r"is not a recipe: it is a pipe or a device, not a file; see the docs$"):
            read_yaml(path, "a recipe", advice=ADVICE)

"""Reads YAML strictly: whatever is wrong with a text is one error, and its size, depth and aliases are bounded.

Values are plain: mappings with scalar keys, lists, text, numbers, true, false and null. A date is the text that it was
written as. `1e-4` is a number, as in YAML 1.2.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from rapidseg.core.errors import ConfigError
from rapidseg.core.printable import one_line

MAX_ALIASED_VALUES = 100_000  # values that aliases may add to those in the file
MAX_ALIASED_CHARACTERS = 10_000_000  # of text that aliases may add
MAX_CHARACTERS = 2_000_000  # of a text; reading as much takes seconds
MAX_DEPTH = 64  # of lists and mappings within each other
MAX_NUMBER_LENGTH = 100  # characters of a number

_EXPONENT = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$")
_TAG = "tag:yaml.org,2002:"
_MERGE_TAG = f"{_TAG}merge"  # of the key `<<`
_NUMBERS = {f"{_TAG}int": "an integer", f"{_TAG}float": "a number"}
_KINDS = {**_NUMBERS, f"{_TAG}bool": "true or false", f"{_TAG}timestamp": "a date", f"{_TAG}null": "null"}
_COLLECTIONS = {f"{_TAG}map", f"{_TAG}seq"}
_MAX_SHOWN = 100  # characters of a value in a message
_SURROGATE = re.compile("[\ud800-\udfff]")
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")  # how files in this encoding begin


class _StrictLoader(yaml.SafeLoader):
    """A loader that rejects duplicate keys and aliases that repeat too much, and builds nothing but plain values."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self._depth >= MAX_DEPTH:
            raise yaml.YAMLError(
                f"its lists and mappings are nested too deeply; {MAX_DEPTH} levels are allowed: write fewer"
            )
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def get_single_node(self) -> yaml.Node | None:
        node = super().get_single_node()
        if node is not None:
            self._check(node)
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, ArithmeticError) as error:
            raise _error(f"{_shown(node.value)} is not {_KINDS.get(node.tag, f'a {node.tag}')}", node) from error

    def _construct_date(self, node: yaml.ScalarNode) -> str:
        self.construct_yaml_timestamp(node)  # raises if there is no such day
        return str(node.value)

    def _check(self, root: yaml.Node) -> None:
        """Checks the nodes before values are built from them.

        An alias is the same node again, so each node is visited once, and the size of the document with all aliases
        written out is computed without building it.
        """
        sizes: dict[int, tuple[int, int] | None] = {}  # values and characters below a node, itself included

        def visit(node: yaml.Node) -> tuple[int, int]:
            if id(node) in sizes:
                size = sizes[id(node)]
                if size is None:
                    raise _error("an alias refers to a value that contains it", node)
                return size
            sizes[id(node)] = None  # being visited
            if isinstance(node, yaml.ScalarNode):
                _check_scalar(node)
                size = 1, len(node.value)
            else:
                if node.tag not in _COLLECTIONS:
                    raise _error(f"the tag {node.tag!r} is not allowed; write a list or a mapping without a tag", node)
                if isinstance(node, yaml.MappingNode):
                    self._refuse_duplicates(node)
                below = [visit(child) for child in _children(node)]
                size = 1 + sum(values for values, _ in below), sum(characters for _, characters in below)
            sizes[id(node)] = size
            return size

        values, characters = visit(root)
        written = sum(size[1] for size in sizes.values() if size is not None and size[0] == 1)
        if values - len(sizes) > MAX_ALIASED_VALUES:
            raise yaml.YAMLError(
                f"its aliases expand to {values - len(sizes):,} more values, and {MAX_ALIASED_VALUES:,} are allowed; "
                "write the values out, or repeat fewer of them"
            )
        if characters - written > MAX_ALIASED_CHARACTERS:
            raise yaml.YAMLError(
                f"its aliases repeat {characters - written:,} characters of text, and {MAX_ALIASED_CHARACTERS:,} are "
                "allowed; write shorter texts, or repeat fewer of them"
            )

    def _refuse_duplicates(self, node: yaml.MappingNode) -> None:
        seen = set()
        for key_node, _ in node.value:
            if key_node.tag == _MERGE_TAG:
                continue
            if not isinstance(key_node, yaml.ScalarNode):
                raise _error("found unhashable key; write a text or a number as the key", key_node)
            _check_scalar(key_node)
            key = self.construct_object(key_node)
            if key in seen:
                raise _error(f"duplicate key {_shown(key)}", key_node)
            seen.add(key)


class _StrictDumper(yaml.SafeDumper):
    """Puts in quotes what the loader would read as a number."""


_StrictDumper.add_implicit_resolver(f"{_TAG}float", _EXPONENT, list("-+.0123456789"))
_StrictLoader.add_implicit_resolver(f"{_TAG}float", _EXPONENT, list("-+.0123456789"))
_StrictLoader.add_constructor(f"{_TAG}timestamp", _StrictLoader._construct_date)


def parse_yaml(text: str) -> Any:
    """Returns the value of a YAML text. No two parts of it are the same object, whatever aliases it has.

    Raises:
        yaml.YAMLError: it is not valid, too long or too deep, a key is duplicated, or aliases repeat too much.
    """
    if len(text) > MAX_CHARACTERS:
        raise yaml.YAMLError(f"it has {len(text):,} characters, and {MAX_CHARACTERS:,} are allowed")
    if _SURROGATE.search(text):
        raise yaml.YAMLError("it contains characters that are not Unicode; write it in UTF-8")
    try:
        return _copied(yaml.load(text, Loader=_StrictLoader))  # a SafeLoader: it makes no objects
    except RecursionError as error:
        raise yaml.YAMLError("its lists and mappings are nested too deeply") from error
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError) as error:
        # Of the scanner, such as an escape of a character that Unicode does not have.
        raise yaml.YAMLError(str(error)) from error


def dump_yaml(content: object) -> str:
    """Returns YAML that `parse_yaml` reads as the same values; short lists and mappings are on one line."""
    return yaml.dump(content, Dumper=_StrictDumper, sort_keys=False, default_flow_style=None, width=118)


def explain_yaml(error: yaml.YAMLError) -> str:
    """Returns an error in one line that follows `is not valid YAML`: ` at line 3: duplicate key 'a'`."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem:
        line = f" at line {error.problem_mark.line + 1}" if error.problem_mark else ""
        return f"{line}: {one_line(error.problem)}"
    return f": {one_line(error)}"


def read_yaml(path: str | os.PathLike[str], kind: str, *, advice: str) -> dict[Any, Any]:
    """Reads a YAML file that contains keys with values.

    Args:
        path: the file.
        kind: the expected kind of file, such as `a recipe`.
        advice: end of all messages: what to do about a file that is not accepted.

    Raises:
        ConfigError: the file cannot be read, is not valid YAML, or does not contain a mapping.
    """
    content = read_yaml_value(path, kind, advice=advice)
    if not isinstance(content, dict):
        actual = {list: "a list", type(None): "nothing"}.get(type(content), "a single value")
        raise ConfigError(f"{path} is not {kind}: it contains {actual}, not keys with values; {advice}")
    return content


def read_yaml_value(path: str | os.PathLike[str], kind: str, *, advice: str) -> Any:
    """Reads a YAML file with any content; arguments and errors are those of `read_yaml`."""
    try:
        mode = os.stat(path).st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):  # opening a pipe would wait for a writer
            raise ConfigError(f"{path} is not {kind}: it is a pipe or a device, not a file; {advice}")
        with Path(path).open("rb") as file:
            data = file.read(4 * MAX_CHARACTERS + 1)  # UTF-8 has at most 4 bytes per character
        if len(data) > 4 * MAX_CHARACTERS:
            raise ConfigError(f"{path} is not {kind}: it has more than {MAX_CHARACTERS:,} characters; {advice}")
        return parse_yaml(data.decode("utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror or error}; {advice}") from error
    except UnicodeDecodeError as error:
        actual = "it is UTF-16 text; save it as UTF-8" if data.startswith(_UTF_16) else "it is not UTF-8 text"
        raise ConfigError(f"{path} is not {kind}: {actual}; {advice}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not valid YAML{explain_yaml(error)}; {advice}") from error
    except ConfigError:
        raise
    except ValueError as error:  # a path with a null character
        raise ConfigError(f"cannot read {str(path)!r}: {error}; {advice}") from error


def _children(node: yaml.Node) -> Iterator[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield key
            yield value
    elif isinstance(node, yaml.SequenceNode):
        yield from node.value


def _check_scalar(node: yaml.ScalarNode) -> None:
    """Refuses what takes long to compute or cannot be printed: `1:1:1:...` of thousands of digits, half characters."""
    if node.tag in _NUMBERS and len(node.value) > MAX_NUMBER_LENGTH:
        raise _error(
            f"a number of {len(node.value):,} characters, and {MAX_NUMBER_LENGTH} are allowed; put text in quotes", node
        )
    if node.tag == f"{_TAG}binary":
        raise _error("the tag '!!binary' is not allowed; write text", node)
    if _SURROGATE.search(node.value):
        raise _error(f"{_shown(node.value)} contains characters that are not Unicode", node)


def _copied(value: Any) -> Any:
    """Returns a copy in which what an alias repeats is an object of its own: a change of one never changes another."""
    if isinstance(value, dict):
        return {key: _copied(inner) for key, inner in value.items()}
    return [_copied(inner) for inner in value] if isinstance(value, list) else value


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."


def _error(problem: str, node: yaml.Node) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)

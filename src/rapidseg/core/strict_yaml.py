"""Reads YAML strictly: duplicate keys and exploding aliases are errors, and `1e-4` is a number."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from rapidseg.core.errors import ConfigError

MAX_ALIASED_VALUES = 100_000  # values that aliases may add to those in the file

_EXPONENT = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$")
_MERGE_TAG = "tag:yaml.org,2002:merge"  # of the key `<<`


class _StrictLoader(yaml.SafeLoader):
    """A loader that rejects duplicate keys and aliases that repeat too much, and reads the numbers of YAML 1.2."""

    def get_single_node(self) -> yaml.Node | None:
        node = super().get_single_node()
        if node is not None:
            self._check(node)
        return node

    def _check(self, root: yaml.Node) -> None:
        """Checks the nodes before values are built from them.

        An alias is the same node again, so each node is visited once, and the size of the document with all aliases
        written out is computed without building it.
        """
        sizes: dict[int, int] = {}  # number of values below a node, itself included

        def visit(node: yaml.Node) -> int:
            if id(node) in sizes:
                if sizes[id(node)] == 0:
                    raise _error("an alias refers to a value that contains it", node)
                return sizes[id(node)]
            sizes[id(node)] = 0  # being visited
            if isinstance(node, yaml.MappingNode):
                self._refuse_duplicates(node)
            sizes[id(node)] = size = 1 + sum(visit(child) for child in _children(node))
            return size

        size = visit(root)
        if size - len(sizes) > MAX_ALIASED_VALUES:
            raise yaml.YAMLError(
                f"its aliases expand to {size - len(sizes):,} more values, and {MAX_ALIASED_VALUES:,} are allowed; "
                "write the values out, or repeat fewer of them"
            )

    def _refuse_duplicates(self, node: yaml.MappingNode) -> None:
        seen = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag == _MERGE_TAG:
                continue
            key = self.construct_object(key_node)
            if key in seen:
                raise _error(f"duplicate key {key!r}", key_node)
            seen.add(key)


_StrictLoader.add_implicit_resolver("tag:yaml.org,2002:float", _EXPONENT, list("-+.0123456789"))


def parse_yaml(text: str) -> Any:
    """Returns the value of a YAML text.

    Raises:
        yaml.YAMLError: it is not valid, a key is duplicated, or aliases repeat too much.
    """
    try:
        return yaml.load(text, Loader=_StrictLoader)  # a SafeLoader: it makes no objects
    except RecursionError as error:
        raise yaml.YAMLError("its lists and mappings are nested too deeply") from error
    except ValueError as error:  # a date or a number that Python does not have, such as 2024-02-30
        raise yaml.YAMLError(str(error)) from error


def explain_yaml(error: yaml.YAMLError) -> str:
    """Returns an error in one line that follows `is not valid YAML`: ` at line 3: duplicate key 'a'`."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem:
        line = f" at line {error.problem_mark.line + 1}" if error.problem_mark else ""
        return f"{line}: {error.problem}"
    return f": {' '.join(str(error).split())}"


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
        return parse_yaml(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror or error}; {advice}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not {kind}: it is not UTF-8 text; {advice}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not valid YAML{explain_yaml(error)}; {advice}") from error


def _children(node: yaml.Node) -> Iterator[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield key
            yield value
    elif isinstance(node, yaml.SequenceNode):
        yield from node.value


def _error(problem: str, node: yaml.Node) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)

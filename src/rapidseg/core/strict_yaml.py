"""YAML as people mean it: a key that stands twice is an error, and `1e-4` is a number."""

from __future__ import annotations

import re
from typing import Any

import yaml

_EXPONENT = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$")


class _StrictLoader(yaml.SafeLoader):
    """Numbers are those of YAML 1.2, and no key is silently replaced by a later one of the same name."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for place, key in enumerate(keys):
            if key in keys[:place]:
                mark = node.value[place][0].start_mark
                raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} stands twice", mark)
        return super().construct_mapping(node, deep=deep)


_StrictLoader.add_implicit_resolver("tag:yaml.org,2002:float", _EXPONENT, list("-+.0123456789"))


def parse_yaml(text: str) -> Any:
    """Returns what a YAML text says.

    Raises:
        yaml.YAMLError: it is not valid, or a key stands twice.
    """
    return yaml.load(text, Loader=_StrictLoader)  # a SafeLoader: it makes no objects

"""Every message that the troubleshooting page quotes is one that the source still has."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.documents import ROOT, blocks

PAGE = ROOT / "docs" / "troubleshooting.md"
HOLE = "\0"  # stands for a value that differs from case to case
MIN_FIXED_CHARACTERS = 10  # fewer would match nearly anything

_PLACEHOLDER = re.compile(r"\{[^{}]*\}")
_PARTS_IN_TABLES = re.compile(r"^\| `([^`]+)` \|", re.MULTILINE)


def _template(text: str) -> str:
    return _PLACEHOLDER.sub(HOLE, text)


def _texts(tree: ast.AST) -> Iterator[str]:
    """Yields the strings of a module but its docstrings, with a hole for each value that is inserted."""
    docstrings = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if node in docstrings:
            continue
        if isinstance(node, ast.JoinedStr):
            yield "".join(
                part.value if isinstance(part, ast.Constant) and isinstance(part.value, str) else HOLE
                for part in node.values
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield _template(node.value)


@pytest.fixture(scope="module")
def source_texts() -> frozenset[str]:
    files = (ROOT / "src" / "rapidseg").rglob("*.py")
    return frozenset(text for file in files for text in _texts(ast.parse(Path(file).read_text(encoding="utf-8"))))


def quoted_messages() -> list[str]:
    """Returns the messages on the page: its text blocks, and the parts of messages in the first columns of tables."""
    whole = [block.code.strip() for block in blocks(PAGE) if block.language == "text"]
    return whole + _PARTS_IN_TABLES.findall(PAGE.read_text(encoding="utf-8"))


@pytest.mark.parametrize("message", quoted_messages())
def test_message_is_in_the_source(message: str, source_texts: frozenset[str]) -> None:
    wanted = _template(message)
    assert len(wanted.replace(HOLE, "")) >= MIN_FIXED_CHARACTERS
    assert any(wanted in text for text in source_texts), f"not in the source any more: {message}"


def test_messages_are_quoted_once() -> None:
    messages = quoted_messages()
    assert len(messages) >= 30
    assert sorted(set(messages)) == sorted(messages)


def test_other_messages_are_not_found(source_texts: frozenset[str]) -> None:
    assert not any(_template("{file}: is no INT8 file; make one of it") in text for text in source_texts)

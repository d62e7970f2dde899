"""Commands parse, call a workflow and show its report: below the workflows they name nothing but types of reports."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import rapidseg

CLI = Path(rapidseg.__file__).parent / "cli"
ALLOWED = ("rapidseg", "rapidseg.cli", "rapidseg.core", "rapidseg.workflows")
MAX_LINES = 60  # of a command
SHARED = (
    "app",
    "command_line",
    "completion",
    "console",
    "help",
    "interrupts",
    "streams",
    "__init__",
)  # used by all commands


def imports_at_run_time(node: ast.AST) -> Iterator[str]:
    """Yields modules that are imported anywhere but under `if TYPE_CHECKING`."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
            continue
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom) and child.module is not None:
            yield child.module
        yield from imports_at_run_time(child)


@pytest.mark.parametrize("path", sorted(CLI.rglob("*.py")), ids=lambda path: str(path.relative_to(CLI)))
def test_only_workflows_and_core_are_imported(path: Path) -> None:
    modules = imports_at_run_time(ast.parse(path.read_text(encoding="utf-8")))
    own = {module for module in modules if module.partition(".")[0] == "rapidseg"}
    assert {module for module in own if ".".join(module.split(".")[:2]) not in ALLOWED} == set()


@pytest.mark.parametrize(
    "path", [path for path in sorted(CLI.glob("*.py")) if path.stem not in SHARED], ids=lambda path: path.stem
)
def test_a_command_is_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES

"""docs/zoo.md has the tables that the data files of the zoo make."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("write_zoo_tables", ROOT / "scripts" / "write_zoo_tables.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_up_to_date(script):
    text = (ROOT / "docs" / "zoo.md").read_text(encoding="utf-8")
    assert script.fill(text) == text, "run: python scripts/write_zoo_tables.py"


def test_a_page_that_lost_a_table_is_refused(script):
    with pytest.raises(SystemExit, match="must have the marks of the table 'published' once"):
        script.fill("# The zoo\n")

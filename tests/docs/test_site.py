"""The site is built as published, and the picture of the architecture is that of the source."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import draw_architecture
from tests.support.documents import ROOT


@pytest.fixture(scope="module")
def structure() -> draw_architecture.Structure:
    return draw_architecture.read_structure()


def test_the_picture_is_up_to_date(structure: draw_architecture.Structure) -> None:
    drawn = draw_architecture.PICTURE.read_text(encoding="utf-8")
    assert drawn == draw_architecture.draw(structure), "run: python scripts/draw_architecture.py"


def test_rooms_import_only_from_rows_below(structure: draw_architecture.Structure) -> None:
    assert structure.upward() == []


def test_no_room_holds_more_than_a_fifth_of_the_lines(structure: draw_architecture.Structure) -> None:
    total = sum(structure.lines.values())
    assert {room: lines / total for room, lines in structure.lines.items() if lines > total / 5} == {}


def test_every_folder_is_in_the_picture(structure: draw_architecture.Structure) -> None:
    folders = {path.parent.name for path in (ROOT / "src" / "rapidseg").glob("*/__init__.py")}
    assert folders == set(structure.lines)


@pytest.mark.parametrize("page", ["architecture.md", "contributing.md", "prediction.md", "data.md", "training.md"])
def test_files_that_a_page_names_exist(page: str) -> None:
    names = re.findall(r"`((?:\w+/)+\w+\.(?:py|yaml|sh))`", (ROOT / "docs" / page).read_text(encoding="utf-8"))
    named = [name for name in names if "NAME" not in name and "SOURCE" not in name]
    folders = (ROOT, ROOT / "src", ROOT / "src" / "rapidseg")
    assert [name for name in named if not any((folder / name).exists() for folder in folders)] == []


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs", reason="the docs extra is not installed")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    built = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stdout + built.stderr
    assert "rapidseg.load" in (tmp_path / "site" / "reference" / "index.html").read_text(encoding="utf-8")

"""Every example of README and documentation is run as it is printed, or says why it is not."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from rapidseg.cli import app
from tests.support.documents import PAGES, ROOT, Block, blocks, commands

RUN = ("sh", "python")
SHOWN = ("yaml", "json", "text", "toml", "cpp", "html")  # what files hold and programs print


def _page_name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=_page_name)
def test_every_block_names_its_language(page: Path) -> None:
    unknown = [block.where for block in blocks(page) if block.language not in (*RUN, *SHOWN)]
    assert unknown == []


@pytest.mark.parametrize("page", PAGES, ids=_page_name)
def test_reasons_are_given_in_words(page: Path) -> None:
    short = [block.where for block in blocks(page) if block.reason is not None and len(block.reason.split()) < 3]
    assert short == []


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if any(block.language in RUN and block.reason is None for block in blocks(page))],
    ids=_page_name,
)
def test_examples_run(
    page: Path, example_files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "work"
    shutil.copytree(example_files, folder)
    monkeypatch.chdir(folder)
    names: dict[str, object] = {"__name__": "__main__"}
    for block in blocks(page):
        if block.reason is not None:
            continue
        if block.language == "python":
            exec(compile(block.code, block.where, "exec"), names)
        elif block.language == "sh":
            _run_commands(block, monkeypatch, capfd)


def _run_commands(block: Block, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    for words in commands(block):
        program, *arguments = words
        assert Path(program).name == "rapidseg", f"{block.where}: {program} is not run by this test; say why not"
        monkeypatch.setattr("sys.argv", ["rapidseg", *arguments])
        try:
            app.main()
            status = 0
        except SystemExit as end:
            status = end.code or 0
        output = "".join(capfd.readouterr())
        assert status == 0, f"{block.where}: {' '.join(words)}\n{output}"

"""The documentation as tests see it: pages, and their blocks of code.

A block is run unless the line before it says why not: `<!-- not run: REASON -->`.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = tuple(sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]))

_FENCE = re.compile(
    r"(?:^(?P<indent>[ ]*)<!-- (?P<note>[^\n]*?) -->\n)?"
    r"^(?P<margin>[ ]*)```(?P<language>\w*)[^\n]*\n(?P<code>.*?)^(?P=margin)```$",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True)
class Block:
    """A fenced block of code.

    Attributes:
        page: its file.
        line: where its code begins, counted from 1.
        language: such as `sh` or `python`; empty where none is given.
        code: its text, without the margin.
        reason: why it is not run; None where it is.
    """

    page: Path
    line: int
    language: str
    code: str
    reason: str | None

    @property
    def where(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path) -> list[Block]:
    """Returns the blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in _FENCE.finditer(text):
        margin = match["margin"]
        code = "".join(line.removeprefix(margin) for line in match["code"].splitlines(keepends=True))
        note = match["note"] or ""
        reason = note.removeprefix("not run: ") if note.startswith("not run: ") else None
        found.append(Block(page, text.count("\n", 0, match.start("code")) + 1, match["language"], code, reason))
    return found


def commands(block: Block) -> list[list[str]]:
    """Returns the words of each command of a shell block, comments removed and continued lines joined."""
    lines = block.code.replace("\\\n", " ").splitlines()
    split = [shlex.split(line, comments=True) for line in lines]
    return [words for words in split if words]

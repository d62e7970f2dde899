"""Messages, docstrings, comments and pages use the terms of the field: no phrase of a short list of banned ones.

The right column says what to write instead. A phrase between backticks is code and is not checked.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Packages of `src/rapidseg`, and pages, that are checked; `("",)` and `("*.md", "docs/**/*.md")` check everything.
PACKAGES = ("",)
PAGES = ("*.md", "docs/**/*.md")

_NOUNS = (
    "address|class|color|dictionary|directory|engine|file|folder|id|image|INT8|key|list|mapping|mask|model|name|number|"
    "option|path|recipe|run|section|size|split|tensor|text|URL|value|video"
)

BANNED = {
    r"\bgo(es|ing|ne)? on (with|where|as if)\b|\bwent on with\b": "resume",
    r"\bto be had\b": "available",
    r"\bstands? twice\b": "duplicate",
    rf"(?<!there )\b(is|are) no (\w+ )?({_NOUNS})s?\b": "is not a",
    r"\bwish(es|ed)? for\b": "target",
    r": missed\b": "not met",
    r"\bleft out\b|\bleaves? out\b": "skipped",
    r"\bthe whole of one\b": "details",
    r"\bthere (is|are): ": "available:",
    r"\bgive it as\b": "pass",
    r"\bone at least\b": "at least one",
    r"\b(no|not) finite numbers?\b": "NaN or infinite",
    r"\b(images?|frames?|files?|pixels?) a (second|class|source|file)\b": "per second, per class",
    r"\bone (color|name|file|line) an? \w+": "per",
    r"\bproves? that\b": "verify",
    r"\bthe like of\b|\bor the like\b": "and similar",
    r"\bcolour|\blicence|\bneighbour|\bbehaviour|\bfavour": "American spelling",
    r"\bcentre|\bmetres?\b|\bgrey\b|\bkerb|\btyre": "American spelling",
    r"(normal|quant|optim|serial|initial|recogn|organ|summar|general|real|visual|minim|maxim|special|custom)is"
    r"(e|es|ed|ing|ation|ations)\b": "American spelling",
}
_PATTERNS = [(re.compile(pattern, re.IGNORECASE), better) for pattern, better in BANNED.items()]

ACCEPTED_AS_INPUT = {"colours", "licence"}  # keys and values of old files and of British users


def texts_of_module(path: Path) -> Iterator[tuple[int, str]]:
    """Yields line and text of all string literals and comments."""
    source = path.read_text(encoding="utf-8")
    parts = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.JoinedStr):
            parts |= {id(value) for value in node.values}
            yield node.lineno, "".join(v.value if isinstance(v, ast.Constant) else "{}" for v in node.values)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value not in ACCEPTED_AS_INPUT:
            yield node.lineno, node.value
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def texts_of_page(path: Path) -> Iterator[tuple[int, str]]:
    """Yields line and text of all paragraphs."""
    line = 1
    for paragraph in path.read_text(encoding="utf-8").split("\n\n"):
        yield line, paragraph
        line += paragraph.count("\n") + 2


def violations(text: str) -> Iterator[str]:
    """Yields each banned phrase of a text with what to write instead."""
    plain = " ".join(re.sub(r"`[^`]*`", "``", text).split())
    for pattern, better in _PATTERNS:
        for match in pattern.finditer(plain):
            yield f"{match[0]!r} -> {better}"


def checked_files() -> list[Path]:
    modules = [path for package in PACKAGES for path in (ROOT / "src" / "rapidseg" / package).rglob("*.py")]
    pages = [path for pattern in PAGES for path in ROOT.glob(pattern)]
    return sorted({*modules, *pages})


@pytest.mark.parametrize("path", checked_files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_banned_phrase(path):
    texts = texts_of_module(path) if path.suffix == ".py" else texts_of_page(path)
    found = [f"{path.relative_to(ROOT)}:{line}: {phrase}" for line, text in texts for phrase in violations(text)]
    if found:
        pytest.fail("\n".join(dict.fromkeys(found)), pytrace=False)


@pytest.mark.parametrize(
    "text",
    [
        "'x' is no INT8 file",
        "a recipe is no\nmodel",
        "Go on with the run",
        "the key 'a' stands twice",
        "the layers that are left out: x",
        "it is 5 images a second",
        "one color a class",
        "the colour of a licence",
        "normalisation",
    ],
)
def test_banned_phrases_are_recognized(text):
    assert list(violations(text))


@pytest.mark.parametrize(
    "text",
    [
        "it is no longer a file",
        "there is no file",
        "`colours` is a key",
        "is not a model",
        "at least one class",
        "a precise",
    ],
)
def test_other_phrases_are_not(text):
    assert not list(violations(text))

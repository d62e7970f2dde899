"""Names of files as text that cannot act on a terminal."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rapidseg.core.printable import one_line, printable, shortened


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"stra\xdfe.png", r"stra\udcdfe.png"),
        (b"\x1b]0;title\x07.png", r"\x1b]0;title\x07.png"),
        (b"a\rb", r"a\x0db"),
        ("evil‮gnp.exe".encode(), r"evil\u202egnp.exe"),
        ("\x9b31m".encode(), r"\x9b31m"),
        ("Straße ’ 街道.png".encode(), "Straße ’ 街道.png"),
        (b"two\nlines\tand a tab", "two\nlines\tand a tab"),
    ],
)
def test_only_what_acts_on_a_terminal_is_escaped(name: bytes, shown: str) -> None:
    assert printable(os.fsdecode(name)) == shown


@given(st.binary(max_size=40))
def test_every_name_can_be_printed_in_utf_8_and_again(name: bytes) -> None:
    shown = printable(os.fsdecode(name))
    shown.encode("utf-8")
    assert not any(ord(letter) < 32 and letter not in "\n\t" for letter in shown)
    assert printable(shown) == shown


def test_words_of_libraries_are_one_line_without_their_end() -> None:
    assert one_line("it\n  failed\x00") == r"it failed\x00"
    assert one_line("x" * 30, 20) == "x" * 20 + "..."


def test_long_paths_keep_both_ends() -> None:
    assert shortened(Path("a\tb\nc")) == r"a\tb\nc"
    assert shortened("a" * 300 + "end") == f"{'a' * 100}...{'a' * 47}end (303 characters)"

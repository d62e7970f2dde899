"""Sizes as text: height before width."""

from __future__ import annotations

import re

import numpy as np
import pytest

from rapidseg.core.errors import InputError
from rapidseg.core.sizes import (
    format_input_size,
    format_size,
    parse_input_size,
    parse_size,
    to_input_size,
    to_input_sizes,
    to_sizes,
)


def test_height_comes_before_width():
    assert format_size((1024, 2048)) == "1024x2048"
    assert parse_size("1024x2048") == (1024, 2048)


def test_the_shape_of_an_array_is_printed_by_its_first_two_sides():
    assert format_size((480, 640, 3)) == "480x640"


@pytest.mark.parametrize("text", ["1024X2048", " 1024x2048 "])
def test_case_and_spaces_around_do_not_matter(text):
    assert parse_size(text) == (1024, 2048)


@pytest.mark.parametrize("text", ["", "x", "512", "-1x5", "1.5x2", "3x4x5", "3 x 4", "3*4"])
def test_other_text_is_not_a_size(text):
    with pytest.raises(InputError) as caught:
        parse_size(text)
    assert str(caught.value) == f"{text!r} is not a size; write HEIGHTxWIDTH in pixels, such as 1024x2048"


@pytest.mark.parametrize("size", [1, 512, 99999, (1, 1), (1024, 2048)])
def test_an_input_size_is_read_as_it_is_printed(size):
    assert parse_input_size(format_input_size(size)) == size


@pytest.mark.parametrize("text", ["", "-5", "x", "512px", "1.5", "3x"])
def test_other_text_is_not_an_input_size(text):
    with pytest.raises(InputError, match=r"is not an input size; write pixels of the shorter side, such as 512, or HE"):
        parse_input_size(text)


@pytest.mark.parametrize("parse", [parse_size, parse_input_size])
@pytest.mark.parametrize("side", ["0", "100000", "9" * 5000])
def test_the_limit_of_a_side_is_stated(parse, side):
    with pytest.raises(InputError) as caught:
        parse(f"5x{side}")
    assert str(caught.value) == f"'5x{side}': a side of {side} pixels is not possible; allowed are 1 to 99999"


@pytest.mark.parametrize("side", ["0", "100000"])
def test_the_limit_of_the_shorter_side_is_stated(side):
    with pytest.raises(InputError, match=f"a side of {side} pixels is not possible; allowed are 1 to 99999"):
        parse_input_size(side)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (np.int64(512), 512),
        (np.array(512), 512),
        (np.array([64, 96]), (64, 96)),
        ((np.int32(64), np.uint8(96)), (64, 96)),
        (np.str_("64x96"), (64, 96)),
    ],
)
def test_numbers_of_numpy_are_sizes(size, expected):
    parsed = to_input_size(size)
    assert parsed == expected
    assert all(type(side) is int for side in (parsed if isinstance(parsed, tuple) else (parsed,)))


def test_several_numbers_of_numpy_are_several_sizes():
    assert to_input_sizes(np.array([512, 256]), "sizes") == (512, 256)
    assert to_sizes(np.array([64, 96]), "sizes") == ((64, 96),)


@pytest.mark.parametrize("size", [np.float64(512), np.array(5.5), np.array([64.0, 96.0]), np.zeros((2, 2), int)])
def test_other_arrays_are_named_as_what_they_are(size):
    shown = "ndarray of shape (2, 2)" if size.ndim == 2 else str(size.tolist())
    with pytest.raises(InputError, match=re.escape(f"input_size is {shown}, which is not an input size; pass pixels")):
        to_input_size(size)

"""The class map equals upsampling followed by argmax."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rapidseg.core.errors import InputError
from rapidseg.runtime.kernels.class_map import class_map_from_logits
from tests.support.logits import assert_is_argmax, make_logits

sides = st.integers(1, 40)


@settings(max_examples=300, deadline=None)
@given(
    kind=st.sampled_from(["noise", "regions", "ties"]),
    num_classes=st.integers(2, 40),
    logits_hw=st.tuples(sides, sides),
    size_hw=st.tuples(st.integers(1, 130), st.integers(1, 130)),
    align_corners=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_equals_resizing_and_then_argmax(
    kind: str,
    num_classes: int,
    logits_hw: tuple[int, int],
    size_hw: tuple[int, int],
    align_corners: bool,
    seed: int,
) -> None:
    logits = make_logits(kind, num_classes, logits_hw, seed)
    class_map = class_map_from_logits(logits, size_hw, align_corners=align_corners)
    assert class_map.shape == size_hw
    assert class_map.dtype == np.uint8
    assert_is_argmax(class_map, logits, align_corners=align_corners)


@pytest.mark.parametrize("align_corners", [False, True])
def test_large_maps_are_split_over_threads(align_corners: bool) -> None:
    logits = make_logits("regions", 150, (65, 97), 3)
    class_map = class_map_from_logits(logits, (1043, 1553), align_corners=align_corners)
    assert_is_argmax(class_map, logits, align_corners=align_corners)


def test_same_size_is_the_argmax_of_the_logits() -> None:
    logits = make_logits("noise", 19, (37, 53), 4)
    np.testing.assert_array_equal(
        class_map_from_logits(logits, (37, 53), align_corners=False), logits.argmax(axis=0).astype(np.uint8)
    )


def test_accepts_views_and_half_floats() -> None:
    logits = make_logits("noise", 5, (12, 14), 5)
    expected = class_map_from_logits(logits.astype(np.float16).astype(np.float32), (50, 60), align_corners=True)
    strided = np.repeat(logits, 2, axis=2)[:, :, ::2].astype(np.float16)
    np.testing.assert_array_equal(class_map_from_logits(strided, (50, 60), align_corners=True), expected)


@pytest.mark.parametrize(
    ("shape", "size_hw"), [((2, 3), (4, 4)), ((1, 2, 3, 4), (4, 4)), ((257, 2, 2), (4, 4)), ((2, 2, 2), (0, 4))]
)
def test_rejects_unsuitable_logits(shape: tuple[int, ...], size_hw: tuple[int, int]) -> None:
    with pytest.raises(InputError, match=r"logits of shape .* cannot become a class map of .*they must be \(K, h, w\)"):
        class_map_from_logits(np.zeros(shape, np.float32), size_hw, align_corners=False)

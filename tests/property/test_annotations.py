"""Polygons and run lengths give back the masks that they were made of."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rapidseg.core.errors import InputError
from rapidseg.imaging import mask_to_polygons, mask_to_rle, polygons_to_mask, rle_to_mask


@st.composite
def masks(draw: st.DrawFn) -> np.ndarray:
    """Noise of any density, or overlapping rectangles and holes, of 1x1 to 40x40 pixels."""
    size_hw = draw(st.tuples(st.integers(1, 40), st.integers(1, 40)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    if draw(st.booleans()):
        return rng.random(size_hw) < draw(st.floats(0, 1))
    mask = np.zeros(size_hw, bool)
    for index in range(draw(st.integers(0, 8))):
        top, left = rng.integers(0, size_hw[0]), rng.integers(0, size_hw[1])
        mask[top : top + rng.integers(1, 20), left : left + rng.integers(1, 20)] = index % 3 != 2
    return mask


@settings(max_examples=400, deadline=None)
@given(masks())
def test_polygons_draw_the_mask(mask: np.ndarray) -> None:
    polygons = mask_to_polygons(mask)
    for rings in polygons:
        for ring in rings:
            assert ring.dtype == np.int32
            assert ring.ndim == 2
            assert ring.shape[1] == 2
            assert mask[ring[:, 1], ring[:, 0]].all()  # points are pixels of the mask
    np.testing.assert_array_equal(polygons_to_mask(polygons, mask.shape), mask)


@settings(max_examples=400, deadline=None)
@given(masks())
def test_run_lengths_give_back_the_mask(mask: np.ndarray) -> None:
    rle = mask_to_rle(mask)
    assert rle["size"] == list(mask.shape)
    np.testing.assert_array_equal(rle_to_mask(rle), mask)


def test_known_run_lengths() -> None:
    """As `pycocotools.mask.encode` of cocoapi 2.0 writes them."""
    mask = np.zeros((4, 5), bool)
    assert mask_to_rle(mask) == {"size": [4, 5], "counts": "d0"}
    mask[1:3, 1:4] = True
    assert mask_to_rle(mask) == {"size": [4, 5], "counts": "5220003"}
    np.testing.assert_array_equal(rle_to_mask({"size": [4, 5], "counts": [5, 2, 2, 2, 2, 2, 5]}), mask)
    with pytest.raises(InputError, match="the run lengths add up to 3 pixels, but the size is 4x5"):
        rle_to_mask({"size": [4, 5], "counts": [1, 2]})


def test_a_ring_has_a_hole() -> None:
    mask = np.ones((7, 9), bool)
    mask[2:5, 3:6] = False
    ((outer, hole),) = mask_to_polygons(mask)
    assert sorted(outer.tolist()) == [[0, 0], [0, 6], [8, 0], [8, 6]]
    around = [[2, 2], [2, 4], [3, 1], [3, 5], [5, 1], [5, 5], [6, 2], [6, 4]]  # pixels of the mask, corners cut
    assert sorted(hole.tolist()) == around
    assert mask_to_polygons(np.zeros((3, 3), bool)) == []

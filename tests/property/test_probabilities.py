"""Probabilities are the softmax of upsampled logits, and the class map is their argmax."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rapidseg.core.errors import InputError
from rapidseg.runtime.kernels.class_map import class_map_from_logits
from rapidseg.runtime.kernels.confidence import confidence_from_logits
from rapidseg.runtime.kernels.probabilities import probabilities_from_logits
from tests.support.logits import make_logits

sides = st.integers(1, 30)


def softmax_of_resized(logits: np.ndarray, size_hw: tuple[int, int], *, align_corners: bool) -> np.ndarray:
    full = torch.nn.functional.interpolate(
        torch.from_numpy(logits)[None].double(), size_hw, mode="bilinear", align_corners=align_corners
    )[0]
    return full.softmax(0).numpy()


@settings(max_examples=200, deadline=None)
@given(
    kind=st.sampled_from(["noise", "regions", "ties"]),
    scale=st.sampled_from([1e-6, 0.1, 1.0, 5.0, 30.0]),
    num_classes=st.integers(2, 30),
    logits_hw=st.tuples(sides, sides),
    size_hw=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    align_corners=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_equals_softmax_of_resized_logits(
    kind: str,
    scale: float,
    num_classes: int,
    logits_hw: tuple[int, int],
    size_hw: tuple[int, int],
    align_corners: bool,
    seed: int,
) -> None:
    logits = (scale * make_logits(kind, num_classes, logits_hw, seed)).astype(np.float32)
    probabilities = probabilities_from_logits(logits, size_hw, align_corners=align_corners)
    assert probabilities.shape == (num_classes, *size_hw)
    assert probabilities.dtype == np.float32
    expected = softmax_of_resized(logits, size_hw, align_corners=align_corners)
    # Weights and blends are float32: a logit is off by a few units in the last place of the largest one.
    rounding = 1e-6 + 2e-6 * np.abs(logits).max()
    np.testing.assert_allclose(probabilities, expected, rtol=rounding, atol=1e-37)
    np.testing.assert_allclose(probabilities.sum(axis=0), 1, rtol=0, atol=5e-6)


@settings(max_examples=200, deadline=None)
@given(
    kind=st.sampled_from(["noise", "regions"]),
    num_classes=st.integers(2, 30),
    logits_hw=st.tuples(sides, sides),
    size_hw=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    align_corners=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_class_map_is_their_argmax_at_every_pixel(
    kind: str,
    num_classes: int,
    logits_hw: tuple[int, int],
    size_hw: tuple[int, int],
    align_corners: bool,
    seed: int,
) -> None:
    logits = make_logits(kind, num_classes, logits_hw, seed)
    probabilities = probabilities_from_logits(logits, size_hw, align_corners=align_corners)
    class_map = class_map_from_logits(logits, size_hw, align_corners=align_corners)
    np.testing.assert_array_equal(probabilities.argmax(axis=0), class_map)
    ordered = np.sort(probabilities, axis=0)
    assert (ordered[-1] > ordered[-2]).all()


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("kind", ["noise", "regions"])
def test_large_maps_are_split_over_threads(kind: str, align_corners: bool) -> None:
    logits = make_logits(kind, 19, (65, 97), 3)
    size_hw = (523, 777)
    probabilities = probabilities_from_logits(logits, size_hw, align_corners=align_corners)
    class_map = class_map_from_logits(logits, size_hw, align_corners=align_corners)
    confidence = confidence_from_logits(logits, size_hw, align_corners=align_corners)
    np.testing.assert_array_equal(probabilities.argmax(axis=0), class_map)
    assert np.abs(255 * probabilities.max(axis=0) - confidence).max() < 0.95  # as `confidence_from_logits` itself
    expected = softmax_of_resized(logits, size_hw, align_corners=align_corners)
    np.testing.assert_allclose(probabilities, expected, rtol=4e-5, atol=0)


def test_classes_closer_than_float32_resolves_after_the_softmax_keep_their_winner() -> None:
    logits = np.array([0, 1e-9, -1e-9], np.float32).reshape(3, 1, 1)
    probabilities = probabilities_from_logits(logits, (4, 5), align_corners=False)
    assert (probabilities.argmax(axis=0) == 1).all()
    np.testing.assert_allclose(probabilities, 1 / 3, rtol=1e-6)


def test_one_class_is_certain() -> None:
    probabilities = probabilities_from_logits(np.full((1, 3, 3), -7, np.float32), (5, 8), align_corners=True)
    assert (probabilities == 1).all()


def test_accepts_views_and_half_floats() -> None:
    logits = make_logits("noise", 5, (12, 14), 5)
    expected = probabilities_from_logits(logits.astype(np.float16).astype(np.float32), (50, 60), align_corners=True)
    strided = np.repeat(logits, 2, axis=2)[:, :, ::2].astype(np.float16)
    np.testing.assert_array_equal(probabilities_from_logits(strided, (50, 60), align_corners=True), expected)


def test_writes_into_out() -> None:
    logits = make_logits("noise", 5, (12, 14), 5)
    out = np.full((5, 30, 31), np.nan, np.float32)
    assert probabilities_from_logits(logits, (30, 31), align_corners=False, out=out) is out
    np.testing.assert_array_equal(out, probabilities_from_logits(logits, (30, 31), align_corners=False))


@pytest.mark.parametrize(
    "out",
    [
        np.empty((5, 30, 30), np.float32),
        np.empty((5, 30, 31)),
        np.empty((5, 31, 30), np.float32).transpose(0, 2, 1),
        np.broadcast_to(np.float32(0), (5, 30, 31)),
    ],
)
def test_rejects_an_unsuitable_out(out: np.ndarray) -> None:
    logits = make_logits("noise", 5, (12, 14), 5)
    with pytest.raises(InputError, match=r"out must be a writable, C-contiguous float32 array of shape \(5, 30, 31\)"):
        probabilities_from_logits(logits, (30, 31), align_corners=False, out=out)


@pytest.mark.parametrize(("shape", "size_hw"), [((2, 3), (4, 4)), ((257, 2, 2), (4, 4)), ((2, 2, 2), (0, 4))])
def test_rejects_unsuitable_logits(shape: tuple[int, ...], size_hw: tuple[int, int]) -> None:
    with pytest.raises(InputError, match=r"logits of shape .*they must be \(K, h, w\)"):
        probabilities_from_logits(np.zeros(shape, np.float32), size_hw, align_corners=False)

"""The confidence is the softmax of the winner."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rapidseg.runtime.kernels.confidence import confidence_from_logits

sides = st.integers(1, 30)


@settings(max_examples=150, deadline=None)
@given(
    num_classes=st.integers(1, 150),
    scale=st.sampled_from([0.1, 1.0, 5.0, 30.0]),
    logits_hw=st.tuples(sides, sides),
    size_hw=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    align_corners=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_equals_the_softmax_of_resized_logits(
    num_classes: int,
    scale: float,
    logits_hw: tuple[int, int],
    size_hw: tuple[int, int],
    align_corners: bool,
    seed: int,
) -> None:
    logits = (scale * np.random.default_rng(seed).normal(size=(num_classes, *logits_hw))).astype(np.float32)
    confidence = confidence_from_logits(logits, size_hw, align_corners=align_corners)
    full = torch.nn.functional.interpolate(
        torch.from_numpy(logits)[None], size_hw, mode="bilinear", align_corners=align_corners
    )[0]
    expected = 255 * full.softmax(0).amax(0).numpy()
    # Half a step of rounding; the series for the exponential and its floor move a value by less than another 0.45.
    assert np.abs(confidence - expected).max() < 0.95

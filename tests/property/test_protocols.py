"""Protocols against their plain forms: one window is the whole, tiles give back, one view is the softmax."""

from __future__ import annotations

import itertools
import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rapidseg.core.errors import InputError
from rapidseg.evaluation import InputScaling, MultiScale, SlidingWindow, WholeImage, predict_multi_scale
from rapidseg.evaluation.protocols import window_slices
from rapidseg.evaluation.resampling import Resampling, softmax
from tests.support.fake_networks import pixel_segmenter

# Sums of at most 16 products in float32 that PyTorch groups otherwise: a few units in the last place of the logits.
ROUNDING = 2e-6

sides = st.integers(1, 70)
sizes = st.tuples(sides, sides)
image_sizes = st.tuples(st.integers(32, 150), st.integers(32, 150))


def make_image(size_hw: tuple[int, int], seed: int = 0) -> np.ndarray:
    """Smooth, so that classes come in regions, and every gray level occurs."""
    coarse = np.random.default_rng(seed).integers(0, 256, (1, 3, 6, 8)).astype(np.float32)
    smooth = torch.nn.functional.interpolate(torch.from_numpy(coarse), size_hw, mode="bilinear")
    return smooth[0].permute(1, 2, 0).round().to(torch.uint8).numpy()


def resized(logits: np.ndarray, size_hw: tuple[int, int], align_corners: bool) -> np.ndarray:
    full = torch.nn.functional.interpolate(
        torch.from_numpy(np.ascontiguousarray(logits))[None], size_hw, mode="bilinear", align_corners=align_corners
    )
    return full[0].numpy()


@settings(max_examples=200, deadline=None)
@given(
    logits_hw=sizes,
    steps=st.lists(st.tuples(st.integers(1, 300), st.integers(1, 300)), min_size=1, max_size=2),
    align_corners=st.booleans(),
)
def test_resampling_is_pytorch_s_one_size_after_the_other(
    logits_hw: tuple[int, int], steps: list[tuple[int, int]], align_corners: bool
) -> None:
    logits = np.random.default_rng(0).normal(size=(3, *logits_hw)).astype(np.float32)
    expected = logits
    for size_hw in steps:
        expected = resized(expected, size_hw, align_corners)
    ours = np.full_like(expected, np.nan)
    for tile, values in Resampling(logits_hw, *steps, align_corners=align_corners).tiles(logits):
        assert np.isnan(ours[tile]).all()  # tiles do not overlap
        ours[tile] = values
    # PyTorch computes positions in float32: at 300 pixels that is 300 * 2**-24 of a pixel off, and logits differ by
    # up to 8 between neighbors.
    np.testing.assert_allclose(ours, expected, atol=3e-4)


@given(length=st.integers(1, 500), crop=st.integers(1, 300), data=st.data())
def test_windows_cover_every_pixel_and_lie_inside(length: int, crop: int, data: st.DataObject) -> None:
    stride = data.draw(st.integers(1, crop))
    windows = window_slices(length, crop, stride)
    assert all(window.stop - window.start == min(crop, length) for window in windows)
    assert (windows[0].start, windows[-1].stop) == (0, length)
    assert all(after.start - before.start <= stride for before, after in itertools.pairwise(windows))
    assert len(windows) == max(length - crop + stride - 1, 0) // stride + 1  # as many as slide_inference takes


@settings(max_examples=40, deadline=None)
@given(size_hw=image_sizes, margin=st.integers(0, 50), stride=st.sampled_from([1, 4, 8]), align=st.booleans())
def test_one_window_is_the_whole_image(size_hw: tuple[int, int], margin: int, stride: int, align: bool) -> None:
    image = make_image(size_hw)
    segmenter = pixel_segmenter(stride=stride, align_corners=align)
    crop_hw = (size_hw[0] + margin, size_hw[1] + margin)
    whole = WholeImage(segmenter)(image)
    sliding = SlidingWindow(segmenter, crop_hw, crop_hw)(image)
    assert (whole == sliding).mean() > 0.999  # classes that tie to the last bit may come out either way
    assert whole.dtype == sliding.dtype == np.uint8


@settings(max_examples=40, deadline=None)
@given(size_hw=image_sizes, crop_hw=st.tuples(st.integers(32, 90), st.integers(32, 90)), data=st.data())
def test_tiles_of_a_network_that_sees_single_pixels_give_back_the_whole(
    size_hw: tuple[int, int], crop_hw: tuple[int, int], data: st.DataObject
) -> None:
    stride_hw = (data.draw(st.integers(16, crop_hw[0])), data.draw(st.integers(16, crop_hw[1])))
    segmenter = pixel_segmenter()
    image = make_image(size_hw)
    agreement = (SlidingWindow(segmenter, crop_hw, stride_hw)(image) == WholeImage(segmenter)(image)).mean()
    assert agreement > 0.999  # a mean of equal logits is rounded, which decides ties


@settings(max_examples=40, deadline=None)
@given(size_hw=image_sizes, stride=st.sampled_from([1, 4, 8]), align_corners=st.booleans())
def test_scale_1_without_flip_is_the_softmax_of_the_whole(
    size_hw: tuple[int, int], stride: int, align_corners: bool
) -> None:
    image = make_image(size_hw)
    segmenter = pixel_segmenter(stride=stride, align_corners=align_corners)
    probabilities = predict_multi_scale(segmenter, image, scales=(1.0,), flip=False)
    assert (probabilities.shape, probabilities.dtype) == ((5, *size_hw), np.float32)
    expected = softmax(resized(segmenter.logits(image), size_hw, align_corners))
    np.testing.assert_allclose(probabilities, expected, atol=3e-4)  # as for resampling
    np.testing.assert_allclose(probabilities.sum(0), 1, atol=ROUNDING)
    one = MultiScale(segmenter, (1.0,), flip=False)
    assert (one(image) == WholeImage(segmenter)(image)).mean() > 0.999


@settings(max_examples=20, deadline=None)
@given(size_hw=image_sizes, scales=st.lists(st.sampled_from([0.5, 0.75, 1.0, 1.5]), min_size=1, max_size=3))
def test_with_flip_a_mirrored_image_has_mirrored_probabilities(size_hw: tuple[int, int], scales: list[float]) -> None:
    size_hw = (size_hw[0] // 8 * 8, size_hw[1] // 8 * 8)  # or the strides of the mirrored network begin elsewhere
    segmenter = pixel_segmenter(stride=4)
    image = make_image(size_hw)
    first = predict_multi_scale(segmenter, image, scales, flip=True)
    second = predict_multi_scale(segmenter, np.ascontiguousarray(image[:, ::-1]), scales, flip=True)
    # OpenCV resizes a mirrored image to the mirror image but for one gray level here and there, which is 1/127.5 of
    # the logits' unit, times weights of up to 6.
    np.testing.assert_allclose(first, second[:, :, ::-1], atol=0.05)


@given(size_hw=image_sizes, subsample=st.sampled_from([1, 2, 4]))
@settings(max_examples=20, deadline=None)
def test_subsampled_input_gives_a_class_map_of_full_size(size_hw: tuple[int, int], subsample: int) -> None:
    segmenter = pixel_segmenter()
    class_map = WholeImage(segmenter, InputScaling(subsample=subsample))(make_image(size_hw))
    assert class_map.shape == size_hw
    (seen_hw,) = segmenter.engine.seen_hw
    assert seen_hw == tuple(max(32, int(side / subsample + 0.5)) for side in size_hw)


def test_memory_is_one_array_of_all_classes_and_little_more() -> None:
    segmenter = pixel_segmenter(num_classes=19, stride=8)
    image = make_image((256, 512))
    for protocol in (MultiScale(segmenter, (0.5, 1.0)), SlidingWindow(segmenter, (128, 128), (96, 96))):
        protocol(image)  # fills caches
        tracemalloc.start()
        protocol(image)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        # The fake network's own input takes 6 of these 19; probabilities kept for each view would take 76.
        assert peak < 2 * 19 * 256 * 512 * 4


def test_wrong_images_are_refused_by_every_protocol() -> None:
    segmenter = pixel_segmenter()
    for protocol in (WholeImage(segmenter), SlidingWindow(segmenter, (64, 64), (32, 32)), MultiScale(segmenter)):
        with pytest.raises(InputError, match=r"an image must be \(H, W, 3\) uint8"):
            protocol(np.zeros((40, 40), np.uint8))

"""Bytes to normalised planes in one pass."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rapidseg.core.spec import IMAGENET_MEAN, IMAGENET_STD
from rapidseg.runtime.normalizing import look_up, normalize


def plainly(images: np.ndarray) -> np.ndarray:
    floats = (images.astype(np.float32) - np.float32(IMAGENET_MEAN)) / np.float32(IMAGENET_STD)
    return floats.transpose(0, 3, 1, 2)


@settings(deadline=None)  # the first call compiles the loop
@given(
    shape=st.tuples(st.integers(1, 3), st.integers(1, 70), st.integers(1, 70), st.just(3)),
    seed=st.integers(0, 2**32 - 1),
)
def test_float32_equals_the_plain_way_to_the_last_bit(shape: tuple[int, ...], seed: int) -> None:
    images = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    planes = np.empty((shape[0], 3, *shape[1:3]), np.float32)
    normalize(images, IMAGENET_MEAN, IMAGENET_STD, planes)
    np.testing.assert_array_equal(planes, plainly(images))


def test_bfloat16_is_rounded_to_the_nearest() -> None:
    torch = pytest.importorskip("torch")
    images = np.random.default_rng(0).integers(0, 256, (2, 41, 67, 3), dtype=np.uint8)
    planes = np.empty((2, 3, 41, 67), np.uint16)
    normalize(images, IMAGENET_MEAN, IMAGENET_STD, planes)
    expected = torch.from_numpy(plainly(images).copy()).bfloat16().view(torch.uint16).numpy()
    np.testing.assert_array_equal(planes, expected)


def test_large_images_are_shared_between_threads_and_views_are_taken() -> None:
    images = np.random.default_rng(0).integers(0, 256, (1, 700, 1100, 3), dtype=np.uint8)
    for view in (images, images[:, ::-1, ::2], np.asfortranarray(images)):
        planes = np.empty((1, 3, *view.shape[1:3]), np.float32)
        normalize(view, IMAGENET_MEAN, IMAGENET_STD, planes)
        np.testing.assert_array_equal(planes, plainly(view))


def test_bytes_are_replaced_by_the_table_of_their_channel() -> None:
    rng = np.random.default_rng(0)
    table = rng.integers(0, 256, (3, 256), dtype=np.uint8)
    images = rng.integers(0, 256, (2, 700, 1100, 3), dtype=np.uint8)
    for view in (images, images[:, :33, ::-1], np.asfortranarray(images)):
        replaced = np.empty(view.shape, np.uint8)
        look_up(view, table, replaced)
        for channel in range(3):
            np.testing.assert_array_equal(replaced[..., channel], table[channel][view[..., channel]])

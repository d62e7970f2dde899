"""Normalization of image bytes by a lookup table."""

import numpy as np
import openvino
import pytest

from rapidseg.core.spec import IMAGENET_MEAN, IMAGENET_STD
from rapidseg.runtime.engines.openvino_input import split_preprocessing
from rapidseg.runtime.kernels.normalization import apply_lut, bfloat16_bits
from rapidseg.runtime.model_file import find_model


def normalized(images: np.ndarray) -> np.ndarray:
    return (images.astype(np.float32) - np.float32(IMAGENET_MEAN)) / np.float32(IMAGENET_STD)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_each_byte_is_replaced_by_the_table_of_its_channel(dtype: type) -> None:
    rng = np.random.default_rng(0)
    table = rng.integers(0, 256, (3, 256)).astype(dtype)
    images = rng.integers(0, 256, (2, 700, 1100, 3), dtype=np.uint8)  # large enough to be shared between threads
    for view in (images, images[:, :33, ::-1], np.asfortranarray(images)):
        replaced = np.empty(view.shape, dtype)
        apply_lut(view, table, replaced)
        for channel in range(3):
            np.testing.assert_array_equal(replaced[..., channel], table[channel][view[..., channel]])


@pytest.mark.parametrize("type_", [openvino.Type.f32, openvino.Type.bf16])
def test_the_input_of_openvino_equals_the_normalization_of_the_file_bit_for_bit(type_: openvino.Type) -> None:
    path = find_model(None)
    _, network_input = split_preprocessing(openvino.Core().read_model(path), type_, path)
    images = np.random.default_rng(0).integers(0, 256, (2, 41, 67, 3), dtype=np.uint8)
    tensor = openvino.Tensor(network_input.type, list(images.shape))
    network_input.fill(images, tensor)
    expected = normalized(images)
    if type_ == openvino.Type.bf16:
        np.testing.assert_array_equal(tensor.data.view(np.uint16), bfloat16_bits(expected))
    else:
        np.testing.assert_array_equal(tensor.data, expected)


def test_bfloat16_is_rounded_to_the_nearest() -> None:
    torch = pytest.importorskip("torch")
    numbers = np.random.default_rng(0).normal(size=(1000, 7)).astype(np.float32)
    halfway = np.array([1 + 2**-8, 1 + 3 * 2**-8, 0, -0.0, 3e38], np.float32)  # ties, zeros, beyond the largest
    for case in (numbers, halfway, numbers.T):
        expected = torch.from_numpy(case.copy()).bfloat16().view(torch.uint16).numpy()
        np.testing.assert_array_equal(bfloat16_bits(case), expected)

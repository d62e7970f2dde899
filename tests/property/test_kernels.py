"""Class maps on a device, by Triton's kernel and in plain PyTorch, are those of the CPU; Triton's convolutions, too.

Triton's interpreter runs the kernel on CPU tensors. It has to be asked for before Triton is imported, so in a process
of its own: this file, run as a program.
"""

import os
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest
import torch

from rapidseg.core.errors import InputError
from rapidseg.runtime.engines.torch_onnx.autotuner import Autotuner
from rapidseg.runtime.engines.torch_onnx.class_maps import class_maps_on_device, why_not_triton
from rapidseg.runtime.engines.torch_onnx.convolutions import Convolution
from rapidseg.runtime.kernels.class_map import class_map_from_logits
from rapidseg.runtime.kernels.confidence import confidence_from_logits
from tests.property.test_class_map import assert_is_argmax, make_logits

# kind, classes, (h, w), (H, W), align_corners, type, channels last; up and down, odd, a single pixel, many programs
CASES = [
    ("regions", 19, (5, 20), (40, 160), False, torch.float16, True),
    ("noise", 11, (6, 13), (45, 141), True, torch.bfloat16, True),
    ("ties", 5, (7, 5), (30, 29), False, torch.float32, False),
    ("noise", 2, (12, 17), (5, 6), False, torch.float32, True),
    ("noise", 256, (2, 3), (5, 9), True, torch.float16, False),
    ("regions", 7, (1, 1), (13, 17), True, torch.float32, True),
    ("noise", 3, (4, 30), (4, 300), False, torch.float16, True),
    ("noise", 1, (2, 2), (5, 5), False, torch.float32, True),
]


def check(case, *, with_triton):
    kind, num_classes, logits_hw, size_hw, align_corners, dtype, channels_last = case
    logits = np.stack([make_logits(kind, num_classes, logits_hw, seed) for seed in range(2)])
    tensor = torch.from_numpy(logits).to(dtype)
    if channels_last:
        tensor = tensor.contiguous(memory_format=torch.channels_last)
    options = {"align_corners": align_corners, "with_triton": with_triton}
    class_maps, confidences = class_maps_on_device(tensor, size_hw, confidence=True, **options)
    alone, none = class_maps_on_device(tensor, size_hw, **options)
    assert none is None
    assert torch.equal(alone, class_maps)
    assert class_maps.shape == (2, *size_hw)
    assert class_maps.dtype == confidences.dtype == torch.uint8
    for one, class_map, confidence in zip(tensor.float().numpy(), class_maps.numpy(), confidences.numpy(), strict=True):
        assert_is_argmax(class_map, one, align_corners=align_corners)
        if kind != "ties":
            np.testing.assert_array_equal(class_map, class_map_from_logits(one, size_hw, align_corners=align_corners))
        expected = confidence_from_logits(one, size_hw, align_corners=align_corners)
        assert np.abs(confidence.astype(int) - expected).max() <= 1  # as `confidence_from_logits` itself


# channels, (H, W), stride, padding, dilation, bounds, type
DEPTHWISE = [
    (32, (9, 35), 2, 1, 1, (0.0, float("inf")), torch.float16),
    (24, (5, 70), 1, 1, 1, (0.0, 6.0), torch.float32),
    (72, (8, 9), 1, 2, 2, None, torch.bfloat16),
    (8, (5, 6), 2, 0, 1, (0.0, float("inf")), torch.float32),
]


def check_depthwise(channels, size_hw, stride, padding, dilation, bounds, dtype):
    torch.manual_seed(0)
    for bias in (torch.randn(channels).to(dtype), None):
        weight = torch.randn(channels, 1, 3, 3).to(dtype)
        sides = ([stride] * 2, [padding] * 2, [dilation] * 2)
        convolution = Convolution(weight, bias, *sides, channels, bounds)
        x = torch.randn(2, channels, *size_hw).to(dtype).contiguous(memory_format=torch.channels_last)
        assert_same(convolution, "depthwise", x)


# channels in and out, kernel, and the rest as above; Triton's interpreter cannot multiply matrices of bf16
OF_IMAGES = [
    (3, 32, 3, (9, 70), 2, 1, 1, (0.0, float("inf")), torch.float16),
    (3, 8, 7, (9, 20), 2, 3, 1, (0.0, 6.0), torch.float32),
    (4, 72, 3, (5, 6), 1, 2, 2, None, torch.float16),
]


def check_of_image(channels, out_channels, kernel, size_hw, stride, padding, dilation, bounds, dtype):
    torch.manual_seed(0)
    for bias in (torch.randn(out_channels).to(dtype), None):
        weight = torch.randn(out_channels, channels, kernel, kernel).to(dtype)
        convolution = Convolution(weight, bias, [stride] * 2, [padding] * 2, [dilation] * 2, 1, bounds)
        x = torch.randn(2, channels, *size_hw).to(dtype).contiguous(memory_format=torch.channels_last)
        assert_same(convolution, "image", x)


def assert_same(convolution, way, x):
    chosen = Autotuner(with_triton=True)
    right = chosen.valid(convolution.algorithms(with_triton=True), x)
    assert way in right, chosen.rejected  # it gives what the plain way gives
    assert right[way](x).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("case", CASES)
def test_in_plain_pytorch(case):
    check(case, with_triton=False)


def test_of_classes_that_tie_the_first_wins():
    class_maps, _ = class_maps_on_device(torch.ones(1, 5, 3, 3), (8, 8), align_corners=False, with_triton=False)
    assert not class_maps.any()


@pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed")
def test_by_triton():
    environment = {**os.environ, "TRITON_INTERPRET": "1"}
    command = [sys.executable, "-W", "error", "-m", "tests.property.test_kernels"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"{len(CASES)} cases\n"), done.stderr


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is there, on which Triton works")
def test_where_triton_does_not_work_the_reason_is_told():
    reason = why_not_triton(torch.device("cpu"))
    assert reason == ("it is not installed" if find_spec("triton") is None else reason)
    assert reason


@pytest.mark.parametrize(("shape", "size_hw"), [((2, 3, 4), (4, 4)), ((1, 257, 2, 2), (4, 4)), ((1, 2, 2, 2), (0, 4))])
def test_shapes_that_are_refused(shape, size_hw):
    with pytest.raises(
        InputError, match=r"logits of shape .* cannot become class maps of .*they must be \(N, K, h, w\)"
    ):
        class_maps_on_device(torch.zeros(shape), size_hw, align_corners=False)


if __name__ == "__main__":
    assert why_not_triton(torch.device("cpu")) is None
    for case in CASES:
        check(case, with_triton=True)
    for case in DEPTHWISE:
        check_depthwise(*case)
    for case in OF_IMAGES:
        check_of_image(*case)
    tied, _ = class_maps_on_device(torch.ones(1, 5, 3, 3), (8, 8), align_corners=False)
    assert not tied.any()
    sys.stdout.write(f"{len(CASES)} cases\n")

"""Class maps with Triton and with plain PyTorch equal those of the CPU; Triton's convolutions equal PyTorch's.

Triton's interpreter runs the kernels on CPU tensors. It must be enabled before Triton is imported, so the tests of the
kernels run in a process of their own: this file, run as a program.
"""

import os
import subprocess
import sys
from importlib.util import find_spec
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from rapidseg.core.errors import InputError
from rapidseg.runtime.engines.torch_onnx.autotuner import Autotuner
from rapidseg.runtime.engines.torch_onnx.class_maps import class_maps_on_device, why_not_triton
from rapidseg.runtime.engines.torch_onnx.convolutions import Convolution
from rapidseg.runtime.kernels.class_map import class_map_from_logits
from rapidseg.runtime.kernels.confidence import confidence_from_logits
from tests.support.logits import assert_is_argmax, make_logits

KERNEL_MODULE = "rapidseg.runtime.engines.torch_onnx.kernels.class_map_kernel"

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
    without_confidence, no_confidences = class_maps_on_device(tensor, size_hw, **options)
    assert no_confidences is None
    assert torch.equal(without_confidence, class_maps)
    assert class_maps.shape == (2, *size_hw)
    assert class_maps.dtype == confidences.dtype == torch.uint8
    logits = tensor.float().numpy()
    for image_logits, class_map, confidence in zip(logits, class_maps.numpy(), confidences.numpy(), strict=True):
        assert_is_argmax(class_map, image_logits, align_corners=align_corners)
        if kind != "ties":
            expected = class_map_from_logits(image_logits, size_hw, align_corners=align_corners)
            np.testing.assert_array_equal(class_map, expected)
        expected = confidence_from_logits(image_logits, size_hw, align_corners=align_corners)
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


# input and output channels, kernel, and the rest as above; Triton's interpreter has no matrix product in bf16
IMAGE = [
    (3, 32, 3, (9, 70), 2, 1, 1, (0.0, float("inf")), torch.float16),
    (3, 8, 7, (9, 20), 2, 3, 1, (0.0, 6.0), torch.float32),
    (4, 72, 3, (5, 6), 1, 2, 2, None, torch.float16),
]


def check_image(channels, out_channels, kernel, size_hw, stride, padding, dilation, bounds, dtype):
    torch.manual_seed(0)
    for bias in (torch.randn(out_channels).to(dtype), None):
        weight = torch.randn(out_channels, channels, kernel, kernel).to(dtype)
        convolution = Convolution(weight, bias, [stride] * 2, [padding] * 2, [dilation] * 2, 1, bounds)
        x = torch.randn(2, channels, *size_hw).to(dtype).contiguous(memory_format=torch.channels_last)
        assert_same(convolution, "image", x)


def assert_same(convolution, name, x):
    autotuner = Autotuner(with_triton=True)
    valid = autotuner.valid(convolution.algorithms(with_triton=True), x)
    assert name in valid, autotuner.rejected  # it agrees with the plain algorithm
    assert valid[name](x).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("case", CASES)
def test_with_plain_pytorch(case):
    check(case, with_triton=False)


def test_the_first_of_tied_classes_wins():
    class_maps, _ = class_maps_on_device(torch.ones(1, 5, 3, 3), (8, 8), align_corners=False, with_triton=False)
    assert not class_maps.any()


@pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed")
def test_with_triton():
    environment = {**os.environ, "TRITON_INTERPRET": "1"}
    command = [sys.executable, "-W", "error", "-m", "tests.property.test_kernels"]
    completed = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (completed.returncode, completed.stdout) == (0, f"{len(CASES)} cases\n"), completed.stderr


@pytest.fixture
def triton_untried():
    """Forgets what `why_not_triton` found out, before the test and after it."""
    why_not_triton.cache_clear()
    yield
    why_not_triton.cache_clear()


@pytest.mark.usefixtures("triton_untried")
@pytest.mark.skipif(torch.cuda.is_available(), reason="Triton works on the GPU")
@pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed")
def test_without_a_gpu_triton_says_that_it_has_no_driver():
    assert "driver" in why_not_triton(torch.device("cpu"))


@pytest.mark.usefixtures("triton_untried")
def test_a_missing_triton_is_reported(monkeypatch):
    monkeypatch.setitem(sys.modules, KERNEL_MODULE, None)
    assert why_not_triton(torch.device("cpu")) == "it is not installed"


@pytest.mark.usefixtures("triton_untried")
@pytest.mark.parametrize(("class_id", "reason"), [(0, "it computes wrong results on this device"), (1, None)])
def test_triton_is_checked_before_it_is_used(class_id, reason, monkeypatch):
    def compute_class_maps(logits, rows, columns, *, confidence):
        return torch.full((1, 3, 3), class_id, dtype=torch.uint8), None

    monkeypatch.setitem(sys.modules, KERNEL_MODULE, SimpleNamespace(compute_class_maps=compute_class_maps))
    assert why_not_triton(torch.device("cpu")) == reason


@pytest.mark.parametrize(("shape", "size_hw"), [((2, 3, 4), (4, 4)), ((1, 257, 2, 2), (4, 4)), ((1, 2, 2, 2), (0, 4))])
def test_rejects_unsuitable_logits(shape, size_hw):
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
    for case in IMAGE:
        check_image(*case)
    tied, _ = class_maps_on_device(torch.ones(1, 5, 3, 3), (8, 8), align_corners=False)
    assert not tied.any()
    sys.stdout.write(f"{len(CASES)} cases\n")

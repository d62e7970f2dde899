"""What `rapidseg predict` says where an NVIDIA GPU is not used, or not there."""

import pytest

from rapidseg.runtime.engines import selection as choosing
from rapidseg.system.gpu import Gpu
from tests.support.tiny_onnx import write_tiny_onnx

UNUSABLE = Gpu(None, False, "PyTorch 2.13.0+cpu was built without CUDA; install a build for CUDA")


def test_predict_says_it_on_standard_error(rapidseg, monkeypatch, tmp_path):
    monkeypatch.setattr(choosing, "find_gpu", lambda: UNUSABLE)
    write_tiny_onnx(tmp_path / "tiny.onnx")
    status, _, error = rapidseg("predict", "--model", "tiny.onnx", "--json")
    assert status == 0
    assert "note: the NVIDIA GPU is not used: PyTorch 2.13.0+cpu was built without CUDA; install" in error


def test_a_device_that_is_asked_for_and_not_there_ends_the_command(rapidseg, monkeypatch, tmp_path):
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    write_tiny_onnx(tmp_path / "tiny.onnx")
    status, _, error = rapidseg("predict", "--model", "tiny.onnx", "--device", "cuda")
    assert status == 2
    assert "PyTorch: device 'cuda' not found; available: cpu" in error

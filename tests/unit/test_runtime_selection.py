"""Which engine and device are selected with and without a usable NVIDIA GPU."""

import sys
from importlib.util import find_spec

import pytest

import rapidseg
from rapidseg.benchmarking.configuration import installed_engines
from rapidseg.runtime.engines import choose_engine, selection
from rapidseg.system.gpu import Gpu, find_gpu
from tests.support.tiny_onnx import QUANTIZATION, tiny_spec, write_tiny_onnx

H200 = Gpu("NVIDIA H200", True, None)
UNUSABLE = Gpu(None, False, "PyTorch 2.13.0+cpu was built without CUDA; install a build for CUDA")


@pytest.mark.parametrize(
    ("gpu", "engine", "device", "selected", "why"),
    [
        (None, "auto", "auto", ("openvino", "cpu"), ("OpenVINO, the fastest on CPUs", "on the CPU")),
        (H200, "auto", "auto", ("torch", "cuda"), ("PyTorch, for NVIDIA GPUs", "on the NVIDIA H200")),
        (H200, "auto", "cpu", ("openvino", "cpu"), ("OpenVINO, the fastest on CPUs", "on cpu, as requested")),
        (H200, "auto", "cuda:1", ("torch", "cuda:1"), ("PyTorch, for NVIDIA GPUs", "on cuda:1, as requested")),
        (
            H200,
            "auto",
            "tensorrt",
            ("onnxruntime", "tensorrt"),
            ("ONNX Runtime, for TensorRT", "on tensorrt, as requested"),
        ),
        (H200, "onnxruntime", "auto", ("onnxruntime", "cpu"), ("onnxruntime, as requested", "on the CPU")),
        (H200, "torch", "auto", ("torch", "cuda"), ("torch, as requested", "on the NVIDIA H200")),
        (None, "torch", "auto", ("torch", "cpu"), ("torch, as requested", "on the CPU")),
    ],
)
def test_a_usable_gpu_is_selected(monkeypatch, gpu, engine, device, selected, why):
    monkeypatch.setattr(selection, "find_gpu", lambda: gpu)
    choice = choose_engine(tiny_spec(), engine, device)
    assert (choice.engine, choice.device) == selected
    assert (choice.why_engine, choice.why_device) == why
    assert choice.warning is None


@pytest.mark.parametrize("engine", ["auto", "torch"])
def test_an_unusable_gpu_is_never_ignored_silently(monkeypatch, engine, tmp_path):
    monkeypatch.setattr(selection, "find_gpu", lambda: UNUSABLE)
    loaded = rapidseg.load(write_tiny_onnx(tmp_path / "tiny.onnx"), engine=engine).engine
    assert loaded.device == "cpu"
    assert loaded.warning == f"the NVIDIA GPU is not used: {UNUSABLE.obstacle}"
    assert loaded.choice.endswith(f"; on the CPU, since {loaded.warning}")


def test_int8_files_stay_on_the_cpu_and_say_so(monkeypatch):
    monkeypatch.setattr(selection, "find_gpu", lambda: H200)
    choice = choose_engine(tiny_spec(quantization=QUANTIZATION), "auto", "auto")
    assert (choice.engine, choice.device) == ("openvino", "cpu")
    assert choice.warning == (
        "the NVIDIA GPU is not used: PyTorch cannot run INT8 models; "
        "the model that this one was quantized from runs on the GPU"
    )


def test_without_a_driver_pytorch_is_not_searched_for(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "platform", "linux")
    driver_files = (tmp_path / "gpus",)
    with monkeypatch.context() as patch:
        patch.setattr("importlib.util.find_spec", lambda name: pytest.fail("looked for it"))
        assert find_gpu(driver_files=driver_files) is None
    (tmp_path / "gpus").mkdir()
    monkeypatch.setitem(sys.modules, "torch", None)
    assert find_gpu(driver_files=driver_files) == Gpu(
        None,
        False,
        "torch is not installed; run in the clone of RapidSeg: pip install -c constraints.txt '.[nvidia]', with a "
        "build for CUDA",
    )


def test_a_driver_without_pytorch_for_cuda(monkeypatch, tmp_path):
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    assert "built for CUDA 13.0, finds no GPU; update the driver" in find_gpu(driver_files=(tmp_path,)).obstacle
    monkeypatch.setattr(torch.version, "cuda", None)
    assert "was built without CUDA; install a build for CUDA" in find_gpu(driver_files=(tmp_path,)).obstacle


def test_pytorch_is_measured_only_for_gpus(monkeypatch):
    monkeypatch.setattr("rapidseg.system.gpu.find_gpu", lambda: None)
    assert "torch" not in installed_engines("auto")
    monkeypatch.setattr("rapidseg.system.gpu.find_gpu", lambda: H200)
    assert ("torch" in installed_engines("auto")) == (find_spec("torch") is not None)
    assert "torch" not in installed_engines("cpu")
    assert ("torch" in installed_engines("cuda:1")) == (find_spec("torch") is not None)

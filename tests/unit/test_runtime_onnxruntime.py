"""ONNX Runtime: its cache on disk, and its devices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

import rapidseg
from rapidseg.core.errors import EngineError
from rapidseg.runtime.engines import onnxruntime as engines
from tests.support.tiny_onnx import tiny_spec, write_tiny_onnx


@pytest.fixture(scope="module")
def model_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_onnx(tmp_path_factory.mktemp("model") / "tiny.onnx")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RAPIDSEG_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)


@pytest.fixture
def built_for_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes ONNX Runtime report the providers for NVIDIA GPUs."""
    names = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: names)


def test_a_broken_cached_model_is_written_again(model_path: Path, cache: Path, image: np.ndarray) -> None:
    expected = rapidseg.load(model_path, engine="onnxruntime")(image).class_map
    (cached,) = (cache / "onnxruntime").iterdir()
    whole = cached.read_bytes()
    cached.write_bytes(whole[:100])
    np.testing.assert_array_equal(rapidseg.load(model_path, engine="onnxruntime")(image).class_map, expected)
    assert cached.stat().st_size == len(whole)


def test_another_file_of_the_same_name_is_not_read_from_the_cache(
    model_path: Path, cache: Path, tmp_path: Path, image: np.ndarray
) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(model_path.read_bytes())
    rapidseg.load(path, engine="onnxruntime")(image)
    path.write_bytes(model_path.read_bytes())
    rapidseg.load(path, engine="onnxruntime")(image)
    assert len(list((cache / "onnxruntime").iterdir())) == 2


@pytest.mark.parametrize("device", ["cuda", "tensorrt"])
def test_a_build_without_the_provider_says_so(model_path: Path, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CPUExecutionProvider"])
    message = rf"device '{device}' needs \w+Provider, which this build .* available: cpu\. Install onnxruntime-gpu"
    with pytest.raises(EngineError, match=message):
        rapidseg.load(model_path, engine="onnxruntime", device=device)


@pytest.mark.usefixtures("built_for_gpus")
def test_an_unusable_gpu_is_an_error_and_never_the_cpu(
    model_path: Path, image: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    segmenter = rapidseg.load(model_path, engine="onnxruntime", device="cuda")
    assert segmenter.engine.device == "cuda"
    # ONNX Runtime itself falls back to the CPU like this where a library of CUDA is missing.
    session = onnxruntime.InferenceSession
    monkeypatch.setattr(
        onnxruntime,
        "InferenceSession",
        lambda path, options, **_: session(path, options, providers=["CPUExecutionProvider"]),
    )
    with pytest.raises(EngineError, match="cannot start its CUDAExecutionProvider and would use the CPU"):
        segmenter(image)


@pytest.mark.usefixtures("built_for_gpus")
def test_options_of_tensorrt(cache: Path) -> None:
    (name, options), (fallback, cuda) = engines.provider_options("tensorrt", "fp16", is_int8=False)
    assert (name, fallback) == ("TensorrtExecutionProvider", "CUDAExecutionProvider")
    assert options == {
        "trt_fp16_enable": "True",
        "trt_int8_enable": "False",
        "trt_engine_cache_enable": "True",
        "trt_engine_cache_path": str(cache / "tensorrt"),
    }
    assert cuda == {"use_tf32": "0"}


@pytest.mark.usefixtures("built_for_gpus")
def test_only_tensorrt_computes_in_fp16(model_path: Path) -> None:
    for device in ("cpu", "cuda"):
        with pytest.raises(EngineError, match=f"computes in float32 on device {device}, not in fp16"):
            engines.OnnxRuntimeEngine(model_path, tiny_spec(), precision="fp16", device=device)
    engine: Any = engines.OnnxRuntimeEngine(model_path, tiny_spec(), precision="fp16", device="tensorrt")
    assert (engine.precision, engine.device) == ("fp16", "tensorrt")

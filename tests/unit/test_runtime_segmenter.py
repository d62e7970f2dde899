"""Images to class maps, one by one."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import weakref
from pathlib import Path

import numpy as np
import pytest

import rapidseg
from rapidseg.core.errors import EngineError, InputError
from rapidseg.imaging import resize_image
from rapidseg.runtime import Segmenter
from rapidseg.runtime.engines.engine import ShapeCache
from tests.support.tiny_onnx import STRIDE, tiny_spec, write_tiny_onnx

ENGINES = ("openvino", "onnxruntime")


@pytest.fixture(scope="module")
def model_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_onnx(tmp_path_factory.mktemp("model") / "tiny.onnx")


@pytest.fixture(scope="module", params=ENGINES)
def segmenter(request: pytest.FixtureRequest, model_path: Path) -> Segmenter:
    return rapidseg.load(model_path, engine=request.param)


@pytest.fixture
def image() -> np.ndarray:
    rows, columns = np.mgrid[0:90, 0:130]
    waves = [128 + 120 * np.sin(rows / 9), 128 + 120 * np.cos(columns / 7), 128 + 120 * np.sin((rows + columns) / 11)]
    return np.stack(waves, axis=2).astype(np.uint8)


def test_result(segmenter: Segmenter, image: np.ndarray) -> None:
    result = segmenter(image)
    assert result.class_map.shape == (90, 130)
    assert result.class_map.dtype == np.uint8
    assert len(np.unique(result.class_map)) > 2
    assert result.image is image
    assert result.labels == segmenter.spec.labels
    assert result.input_size_hw == (90, 130)
    assert list(result.timings_ms) == ["compile", "prepare", "network", "class_map"]
    assert all(value >= 0 for value in result.timings_ms.values())
    shares = result.class_shares()
    assert list(shares) == list(segmenter.spec.labels.names)
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["Sky"] == np.mean(result.class_map == 0)
    np.testing.assert_array_equal(result.overlay(alpha=0), image)
    np.testing.assert_array_equal(result.overlay(image[:, :, ::-1], alpha=0), image[:, :, ::-1])
    with pytest.raises(InputError, match="the image is 10x10 but the class map is 90x130"):
        result.overlay(np.zeros((10, 10, 3), np.uint8))
    np.testing.assert_array_equal(segmenter.class_map(image), result.class_map)


def test_engines_agree(model_path: Path, image: np.ndarray) -> None:
    class_maps = [rapidseg.load(model_path, engine=engine).class_map(image) for engine in ENGINES]
    assert (
        np.mean(class_maps[0] == class_maps[1]) > 0.999
    )  # sums in another order move borders by a pixel here or there


def test_equals_pytorch(segmenter: Segmenter, model_path: Path, image: np.ndarray) -> None:
    import onnx
    import torch
    from onnx import numpy_helper

    weights = {
        entry.name: torch.tensor(numpy_helper.to_array(entry)) for entry in onnx.load(model_path).graph.initializer
    }
    normalized = (torch.from_numpy(image).permute(2, 0, 1)[None] - weights["mean"]) / weights["std"]
    logits = torch.nn.functional.conv2d(normalized, weights["weights"], stride=STRIDE, padding=4)
    full = torch.nn.functional.interpolate(logits, image.shape[:2], mode="bilinear")
    assert np.mean(full[0].argmax(0).numpy() == segmenter.class_map(image)) > 0.999


@pytest.mark.parametrize("size_hw", [(32, 32), (33, 47), (97, 161), (1, 1), (5, 200), (31, 64)])
def test_any_size(segmenter: Segmenter, size_hw: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*size_hw, 3), dtype=np.uint8)
    result = segmenter(image)
    assert result.class_map.shape == size_hw
    assert result.input_size_hw == (max(32, size_hw[0]), max(32, size_hw[1]))


def test_input_size(segmenter: Segmenter, image: np.ndarray) -> None:
    assert segmenter(image, input_size=45).input_size_hw == (48, 64)  # multiples of the stride, 8
    result = segmenter(image, input_size=(180, 260))
    assert result.input_size_hw == (180, 260)
    assert result.class_map.shape == (90, 130)
    enlarged = segmenter(resize_image(image, (180, 260))).class_map
    assert np.mean(resize_image(enlarged, (90, 130)) == result.class_map) > 0.8
    with pytest.raises(InputError, match="input size 16 is not allowed"):
        segmenter(image, input_size=16)


def test_input_size_of_the_model(tmp_path: Path, image: np.ndarray) -> None:
    segmenter = rapidseg.load(write_tiny_onnx(tmp_path / "tiny.onnx", tiny_spec(input_short_side=64)))
    assert segmenter(image).input_size_hw == (64, 96)
    assert segmenter(image, input_size=(90, 130)).input_size_hw == (90, 130)
    assert segmenter(image).class_map.shape == (90, 130)


def test_views_and_read_only_arrays(segmenter: Segmenter, image: np.ndarray) -> None:
    expected = segmenter.class_map(image)
    image.flags.writeable = False
    np.testing.assert_array_equal(segmenter.class_map(image), expected)
    bgr_view = np.ascontiguousarray(image[:, :, ::-1])[:, :, ::-1]
    np.testing.assert_array_equal(segmenter.class_map(bgr_view), expected)
    np.testing.assert_array_equal(
        segmenter(bgr_view, input_size=64).class_map, segmenter(image, input_size=64).class_map
    )
    assert segmenter(bgr_view).overlay().shape == image.shape


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (np.zeros((8, 9), np.uint8), r"this one is \(8, 9\) uint8; repeat its gray values in three channels"),
        (
            np.zeros((2, 8, 9, 3), np.uint8),
            r"this one is \(2, 8, 9, 3\) uint8; pass one image at a time, or several to `Segmenter.batch`",
        ),
        (np.zeros((8, 9, 4), np.uint8), r"drop the fourth channel: image\[:, :, :3\]"),
        (np.zeros((3, 8, 9), np.uint8), r"move its channels to the end: image\.transpose\(1, 2, 0\)"),
        (np.zeros((8, 9, 2), np.uint8), "pass three channels: red, green and blue"),
        (np.zeros((0, 9, 3), np.uint8), "it has no pixels"),
        (np.zeros((8, 9, 3), np.float32), r"\(8, 9, 3\) float32; pass values from 0 to 255 as uint8, not normalized"),
        (
            [[1, 2]],
            r"PIL image, or an \(H, W, 3\) uint8 array or tensor, not list; convert other types",
        ),
        ("photo.jpg", r"photo\.jpg: no such file"),
        (b"photo", "encoded image: not a readable JPEG, PNG, WebP, BMP or TIFF image"),
        (b"", "encoded image: no bytes; pass the whole content of an image file"),
    ],
)
def test_what_is_no_image(segmenter: Segmenter, wrong: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        segmenter(wrong)


def test_several_threads_at_once(segmenter: Segmenter) -> None:
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (64, 64 + 8 * (i % 3), 3), dtype=np.uint8) for i in range(12)]
    expected = [segmenter.class_map(image) for image in images]
    found: dict[int, np.ndarray] = {}
    threads = [
        threading.Thread(target=lambda i=i: found.update({i: segmenter.class_map(images[i])})) for i in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i in range(12):
        np.testing.assert_array_equal(found[i], expected[i])


def test_compiled_shapes_are_bounded() -> None:
    made = []
    kept = ShapeCache(limit=2)

    def compile_for(shape):
        made.append(shape)
        return shape

    for side in (1, 2, 1, 3, 1, 2):
        assert kept.get((1, side), compile_for) == (1, side)
    assert len(kept) == 2
    assert made == [(1, 1), (1, 2), (1, 3), (1, 2)]  # 1 was used last, so 2 made room for 3


@pytest.mark.parametrize("name", [*ENGINES, "torch"])
def test_the_memory_of_an_engine_does_not_wait_for_the_garbage_collector(name: str, model_path: Path) -> None:
    image = np.zeros((1, 64, 96, 3), np.uint8)
    rapidseg.load(model_path, engine=name, device="cpu").engine.run(image)  # imports what the engine needs
    gc.disable()
    try:
        engine = rapidseg.load(model_path, engine=name, device="cpu").engine
        engine.run(image)
        released = weakref.ref(engine)
        del engine
        assert released() is None
    finally:
        gc.enable()


def test_float32_is_float32(model_path: Path, image: np.ndarray) -> None:
    assert rapidseg.load(model_path).engine.precision == "float32"
    logits = [rapidseg.load(model_path, engine=engine).engine.run(image[None]) for engine in ENGINES]
    # OpenVINO takes bf16 by itself where the CPU has it, whose 8 bits of mantissa would be off by up to 4e-3.
    assert np.abs(logits[0] - logits[1]).max() < 1e-5 * np.abs(logits[1]).max()


def test_bf16(model_path: Path, image: np.ndarray) -> None:
    import openvino

    if "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        with pytest.raises(EngineError, match="this CPU does not compute in bf16; use float32"):
            rapidseg.load(model_path, precision="bf16")
        pytest.skip("this CPU has no bf16")
    segmenter = rapidseg.load(model_path, precision="bf16")
    assert segmenter.engine.precision == "bf16"
    assert np.mean(segmenter.class_map(image) == rapidseg.load(model_path).class_map(image)) > 0.95


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"engine": "openvno"}, r"engine 'openvno' is unknown; .*did you mean 'openvino'"),
        ({"precision": "fp32"}, r"precision 'fp32' is unknown; allowed are auto, float32, bf16"),
        ({"device": "npu"}, r"OpenVINO: device 'npu' not found; available: .*cpu"),
        (
            {"device": "npu", "engine": "onnxruntime"},
            r"ONNX Runtime: unknown device 'npu'; allowed: cpu, cuda",
        ),
        ({"precision": "bf16", "engine": "onnxruntime"}, r"computes in float32 on device cpu, not in bf16; use anoth"),
    ],
)
def test_choices_that_are_not_there(model_path: Path, choice: dict[str, str], message: str) -> None:
    with pytest.raises(EngineError, match=message):
        rapidseg.load(model_path, **choice)


def test_onnxruntime_is_not_installed(model_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.delitem(sys.modules, "rapidseg.runtime.engines.onnxruntime", raising=False)
    with pytest.raises(EngineError, match=r"not installed; .*pip install .* '\.\[onnxruntime\]'"):
        rapidseg.load(model_path, engine="onnxruntime")


@pytest.mark.parametrize("engine", ENGINES)
def test_works_where_nothing_can_be_cached(
    model_path: Path, image: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("RAPIDSEG_CACHE", str(tmp_path / "file" / "cache"))
    assert rapidseg.load(model_path, engine=engine)(image).class_map.shape == (90, 130)


@pytest.mark.parametrize("engine", ENGINES)
def test_compiled_models_are_cached(
    model_path: Path, image: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    monkeypatch.setenv("RAPIDSEG_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "cache" / engine
    first = rapidseg.load(model_path, engine=engine)(image).class_map
    (kept,) = folder.iterdir()
    written = kept.stat().st_mtime_ns
    np.testing.assert_array_equal(rapidseg.load(model_path, engine=engine)(image).class_map, first)
    assert [file.stat().st_mtime_ns for file in folder.iterdir()] == [written]
    monkeypatch.setattr("rapidseg.system.cache.MAX_BYTES", 2 * kept.stat().st_size + 100)
    segmenter = rapidseg.load(model_path, engine=engine)
    for rows in (80, 70):
        segmenter(image[:rows])
    assert len(list(folder.iterdir())) == 2
    assert not kept.exists()


def test_importing_the_package_loads_no_engine() -> None:
    code = "import rapidseg, sys; print([m for m in ('torch', 'openvino', 'onnxruntime', 'numba') if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"

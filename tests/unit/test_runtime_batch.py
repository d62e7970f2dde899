"""Several images at once: the results of single calls, in the order of the images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import rapidseg
from rapidseg.core.errors import EngineError, ImageError, InputError
from rapidseg.imaging import read_image, resize_image
from rapidseg.runtime import Segmenter
from rapidseg.runtime.model_file import SAMPLE_IMAGE
from tests.support.tiny_onnx import write_tiny_onnx

ENGINES = ("openvino", "onnxruntime", "torch")

# PyTorch orders sums by the batch: logits differ by 1e-5, and only pixels where two classes are that close may change.
MIN_EQUAL_PIXELS = {"openvino": 1.0, "onnxruntime": 1.0, "torch": 0.9999}


@pytest.fixture(scope="module")
def model_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_onnx(tmp_path_factory.mktemp("model") / "tiny.onnx")


@pytest.fixture(scope="module", params=ENGINES)
def segmenter(request: pytest.FixtureRequest, model_path: Path) -> Segmenter:
    return rapidseg.load(model_path, engine=request.param, device="cpu")


@pytest.fixture
def images() -> list[np.ndarray]:
    """Seven images of four sizes, mixed; two of the sizes have one network size at `input_size=64`."""
    rng = np.random.default_rng(0)
    sizes_hw = [(64, 96), (64, 72), (128, 192), (64, 96), (40, 50), (64, 96), (128, 192)]
    return [
        np.kron(rng.integers(0, 256, (height // 2, width // 2, 3)), np.ones((2, 2, 1))).astype(np.uint8)
        for height, width in sizes_hw
    ]


@pytest.mark.parametrize("input_size", [None, 64, (96, 64)])
@pytest.mark.parametrize("max_batch", [1, 2, 8])
def test_class_maps_are_those_of_single_calls(
    segmenter: Segmenter, images: list[np.ndarray], input_size: int | tuple[int, int] | None, max_batch: int
) -> None:
    results = segmenter.batch(images, input_size=input_size, confidence=True, max_batch=max_batch)
    assert len(results) == len(images)
    for image, result in zip(images, results, strict=True):
        single = segmenter(image, input_size=input_size, confidence=True)
        assert result.image is image
        assert result.input_size_hw == single.input_size_hw
        equal = np.mean(result.class_map == single.class_map)
        assert equal >= MIN_EQUAL_PIXELS[segmenter.engine.name]
        assert np.abs(result.confidence.astype(int) - single.confidence).max() <= 1
        np.testing.assert_allclose(result.probabilities(), single.probabilities(), atol=1e-4)
        assert list(result.timings_ms) == list(single.timings_ms)


@pytest.mark.parametrize("engine", ENGINES)
def test_class_maps_of_the_built_in_model(engine: str) -> None:
    segmenter = rapidseg.load(engine=engine, precision="float32", device="cpu")
    sample = resize_image(read_image(SAMPLE_IMAGE), (360, 480))
    images = [np.ascontiguousarray(np.roll(sample, 37 * index, axis=1)) for index in range(3)]
    for image, result in zip(images, segmenter.batch(images), strict=True):
        equal = np.mean(result.class_map == segmenter(image).class_map)
        assert equal >= MIN_EQUAL_PIXELS[engine]


def test_images_of_one_network_size_share_a_run(segmenter: Segmenter, images: list[np.ndarray], monkeypatch) -> None:
    shapes: list[tuple[int, ...]] = []
    compile_ = segmenter.engine.compile
    monkeypatch.setattr(segmenter.engine, "compile", lambda shape: shapes.append(shape) or compile_(shape))
    segmenter.batch(images, input_size=64, max_batch=3)
    assert shapes == [(3, 64, 96, 3), (2, 64, 96, 3), (1, 64, 72, 3), (1, 64, 80, 3)]
    assert segmenter.batch([]) == []


def test_all_kinds_of_images(segmenter: Segmenter, images: list[np.ndarray], tmp_path: Path) -> None:
    Image.fromarray(images[0]).save(tmp_path / "image.png")
    path, content = tmp_path / "image.png", (tmp_path / "image.png").read_bytes()
    bgr = np.ascontiguousarray(images[0][:, :, ::-1])
    sources = (path, str(path), content, memoryview(content), Image.fromarray(images[0]), bgr)
    results = segmenter.batch(sources, bgr=True)
    expected = segmenter(images[0]).class_map
    for source, result in zip(sources, results, strict=True):
        assert np.mean(result.class_map == expected) >= MIN_EQUAL_PIXELS[segmenter.engine.name]
        np.testing.assert_array_equal(result.image, images[0])
        assert result.source == (path if isinstance(source, str | Path) else None)
        assert ("decode" in result.timings_ms) == (source is not bgr)
    streamed = list(segmenter.stream(iter(sources), bgr=True))
    assert [result.source for result in streamed] == [path, path, 2, 3, 4, 5]
    for result in streamed:
        np.testing.assert_array_equal(result.class_map, expected)


def test_tensors(model_path: Path, images: list[np.ndarray]) -> None:
    torch = pytest.importorskip("torch")
    segmenter = rapidseg.load(model_path, engine="torch", device="cpu")
    tensors = [torch.from_numpy(image) for image in images]
    results = segmenter.batch([*tensors[:3], images[0]], input_size=64)
    for tensor, result in zip(tensors[:3], results[:3], strict=True):
        assert isinstance(result.class_map, torch.Tensor)
        assert result.image is tensor
        expected = segmenter(tensor, input_size=64).class_map
        assert (result.class_map == expected).float().mean() >= MIN_EQUAL_PIXELS["torch"]
        assert result.probabilities().shape == (11, *tensor.shape[:2])
        assert result.mask("Sky").shape == tensor.shape[:2]
    assert isinstance(results[3].class_map, np.ndarray)
    bgr = segmenter(tensors[0].flip(-1), bgr=True)
    assert torch.equal(bgr.class_map, segmenter(tensors[0]).class_map)
    assert torch.equal(bgr.image, tensors[0])


def test_mistakes(segmenter: Segmenter, images: list[np.ndarray], tmp_path: Path, monkeypatch) -> None:
    for single in ("photo.jpg", tmp_path, b"bytes", images[0], Image.fromarray(images[0])):
        with pytest.raises(
            InputError, match="a batch takes several images; call the segmenter itself for one, or pass a"
        ):
            segmenter.batch(single)
    with pytest.raises(InputError, match="a batch takes a list or another iterable of images, not int"):
        segmenter.batch(5)
    together = np.stack([images[0], images[0]])
    assert len(segmenter.batch(together)) == len(list(segmenter.stream(together))) == 2
    for size in (256.0, (256,), "big", (64, 96, 3)):
        with pytest.raises(InputError, match="not an input size"):
            segmenter(images[0], input_size=size)
    assert segmenter(images[0], input_size="64x96").input_size_hw == (64, 96)
    assert segmenter(images[0], input_size=[64, 96]).input_size_hw == (64, 96)
    with pytest.raises(InputError, match="an image must be a path, the bytes"):
        segmenter.logits("photo.jpg")
    with pytest.raises(InputError, match="on_error is 5; pass a function"):
        segmenter.stream([images[0]], on_error=5)
    with pytest.raises(InputError, match="max_batch is 0; pass an integer of 1 or more"):
        segmenter.batch(images, max_batch=0)
    with pytest.raises(ImageError, match=r"absent\.png: no such file"):
        segmenter.batch([images[0], tmp_path / "absent.png"])
    with pytest.raises(InputError, match="input size 3 is not allowed"):
        segmenter.batch(images, input_size=3)
    infer = segmenter.engine.infer
    monkeypatch.setattr(segmenter.engine, "infer", lambda prepared: infer(prepared)[:1])
    with pytest.raises(EngineError, match=r"2 images resulted in logits of shape \(1, 11, .*; the model takes one ima"):
        segmenter.batch([images[0], images[0]])

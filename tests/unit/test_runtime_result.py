"""What can be derived from a result."""

from __future__ import annotations

import dataclasses
import io
import json
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageShow

import rapidseg
from rapidseg.core.errors import InputError, RapidSegError
from rapidseg.core.labels import CAMVID
from rapidseg.imaging import polygons_to_mask, read_image, read_mask, rle_to_mask
from rapidseg.runtime import Result, Segmenter
from rapidseg.runtime.kernels.confidence import confidence_from_logits
from tests.support.tiny_onnx import tiny_spec, write_tiny_onnx


@pytest.fixture(scope="module")
def segmenter(tmp_path_factory: pytest.TempPathFactory) -> Segmenter:
    return rapidseg.load(write_tiny_onnx(tmp_path_factory.mktemp("model") / "tiny.onnx"))


@pytest.fixture(scope="module")
def result(segmenter: Segmenter) -> Result:
    rows, columns = np.mgrid[0:90, 0:130]
    waves = [128 + 120 * np.sin(rows / 9), 128 + 120 * np.cos(columns / 7), 128 + 120 * np.sin((rows + columns) / 11)]
    return segmenter(np.stack(waves, axis=2).astype(np.uint8))


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime", "torch"])
@pytest.mark.parametrize("align_corners", [False, True])
def test_probabilities(tmp_path: Path, result: Result, engine: str, align_corners: bool) -> None:
    path = write_tiny_onnx(tmp_path / "tiny.onnx", tiny_spec(align_corners=align_corners))
    segmenter = rapidseg.load(path, engine=engine, device="cpu", precision="float32")
    found = segmenter(result.image, input_size=64, confidence=True)
    probabilities = found.probabilities()
    assert probabilities.shape == (11, 90, 130)
    assert probabilities.dtype == np.float32
    np.testing.assert_array_equal(probabilities.argmax(axis=0), found.class_map)
    np.testing.assert_allclose(probabilities.sum(axis=0), 1, atol=5e-6)
    assert found.confidence is not None
    assert np.abs(255 * probabilities.max(axis=0) - found.confidence).max() <= 1.01  # one step of 1/255
    segmenter(255 - result.image, input_size=64)  # engines use buffers again: the result must not change
    np.testing.assert_array_equal(found.probabilities(), probabilities)


def test_probabilities_of_a_class_map_on_a_gpu(result: Result) -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("PyTorch finds no CUDA GPU")
    segmenter = rapidseg.load(engine="torch", device="cuda")
    found = segmenter(torch.from_numpy(result.image).cuda())
    assert found.class_map.is_cuda
    # The GPU fuses multiplications with additions, so that a pixel where two classes are that close may differ.
    agreement = np.mean(found.probabilities().argmax(axis=0) == found.class_map.cpu().numpy())
    assert agreement > 0.9999


def test_probabilities_row_by_row(result: Result) -> None:
    probabilities = result.probabilities()
    for rows in (slice(10, 30), slice(None, 5), slice(-3, None), slice(0, 0), slice(50, 40)):
        np.testing.assert_array_equal(result.probabilities(rows), probabilities[:, rows])
    blocks = list(result.iter_probabilities(40))
    assert [block.shape[1] for block in blocks] == [40, 40, 10]
    np.testing.assert_array_equal(np.concatenate(blocks, axis=1), probabilities)
    with pytest.raises(InputError, match="rows has the step 2; pass consecutive rows"):
        result.probabilities(slice(0, 10, 2))
    with pytest.raises(InputError, match="rows_at_a_time is 0; pass an integer of 1 or more"):
        next(result.iter_probabilities(0))
    with pytest.raises(InputError, match="this result was created without logits"):
        dataclasses.replace(result, logits=None).probabilities()


def test_masks_and_polygons(result: Result) -> None:
    for class_id, name in enumerate(CAMVID.names):
        mask = result.mask(name)
        assert mask.dtype == bool
        np.testing.assert_array_equal(mask, result.class_map == class_id)
        np.testing.assert_array_equal(polygons_to_mask(result.polygons(name), mask.shape), mask)
    for method in (result.mask, result.polygons):
        with pytest.raises(InputError, match=r"unknown class 'car' \(did you mean 'Car'\?\); classes: Sky, Building"):
            method("car")
        with pytest.raises(
            InputError, match=r"unknown class None; classes: Sky, .*; pass one of these names, or its id f"
        ):
            method(None)
        for wrong in (11, -1, 1.0, True, "8"):
            with pytest.raises(InputError, match="unknown class "):
                method(wrong)
    for class_id in (8, np.uint8(8)):
        np.testing.assert_array_equal(result.mask(class_id), result.mask("Car"))
        assert len(result.polygons(class_id)) == len(result.polygons("Car"))


def test_wrong_arguments_are_named(result: Result, tmp_path: Path) -> None:
    for call, message in {
        lambda: result.save(None): "path is None; pass the file to write",
        lambda: result.save(tmp_path / "x.png", 5): "cannot save 5; allowed are class-map",
        lambda: result.probabilities(5): "rows is 5; pass a slice",
        lambda: next(result.iter_probabilities("2")): "rows_at_a_time is '2'; pass an integer of 1 or more",
        lambda: result.overlay(alpha="x"): "alpha is 'x'; pass a number",
        lambda: result.overlay("photo.jpg"): "image is 'photo.jpg'; pass an ",
        lambda: result.to_coco(image_id="a"): "image_id is 'a'; pass an integer",
    }.items():
        with pytest.raises(InputError, match=message):
            call()


def test_to_dict_is_json(result: Result) -> None:
    document = json.loads(json.dumps(result.to_dict()))
    assert document["size_hw"] == [90, 130]
    assert document["input_size_hw"] == [90, 130]
    assert document["classes"] == list(CAMVID.names)
    assert document["source"] is None
    assert sum(document["class_shares"].values()) == pytest.approx(1, abs=1e-4)
    assert list(document["timings_ms"]) == ["compile", "prepare", "network", "class_map"]
    assert dataclasses.replace(result, source=Path("a/x.png")).to_dict()["source"] == str(Path("a/x.png"))


def test_coco(result: Result) -> None:
    result = dataclasses.replace(result, source=Path("a/x.png"))
    document = json.loads(json.dumps(result.to_coco(image_id=7, first_annotation_id=100)))
    assert document["images"] == [{"id": 7, "file_name": "x.png", "height": 90, "width": 130}]
    assert document["categories"][8] == {"id": 8, "name": "Car"}
    present = np.unique(result.class_map)
    assert [annotation["category_id"] for annotation in document["annotations"]] == present.tolist()
    assert [annotation["id"] for annotation in document["annotations"]] == list(range(100, 100 + len(present)))
    for annotation in document["annotations"]:
        mask = rle_to_mask(annotation["segmentation"])
        np.testing.assert_array_equal(mask, result.class_map == annotation["category_id"])
        assert annotation["area"] == mask.sum()
        left, top, width, height = annotation["bbox"]
        assert mask[top : top + height, left : left + width].sum() == mask.sum()
        assert mask[top, :].any()
        assert mask[top + height - 1, :].any()
        assert mask[:, left].any()
        assert mask[:, left + width - 1].any()
        assert (annotation["image_id"], annotation["iscrowd"]) == (7, 0)


def test_supervision(result: Result, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(RapidSegError, match="supervision is not installed; install it with: pip install supervision"):
        result.to_supervision()

    @dataclasses.dataclass
    class Detections:
        xyxy: np.ndarray
        mask: np.ndarray
        confidence: np.ndarray | None
        class_id: np.ndarray
        data: dict[str, np.ndarray]

    monkeypatch.setitem(sys.modules, "supervision", types.SimpleNamespace(Detections=Detections))
    detections = result.to_supervision()
    present = np.unique(result.class_map)
    np.testing.assert_array_equal(detections.class_id, present)
    assert detections.data["class_name"].tolist() == [CAMVID.names[class_id] for class_id in present]
    assert detections.mask.shape == (len(present), 90, 130)
    assert detections.xyxy.shape == (len(present), 4)
    assert detections.confidence is None
    for mask, class_id in zip(detections.mask, detections.class_id, strict=True):
        np.testing.assert_array_equal(mask, result.class_map == class_id)
    sure = dataclasses.replace(result, confidence=np.full((90, 130), 51, np.uint8)).to_supervision()
    np.testing.assert_allclose(sure.confidence, 0.2)


def test_plot(result: Result) -> None:
    np.testing.assert_array_equal(result.plot(legend=False), result.overlay())
    drawn = result.plot(alpha=0)
    assert drawn.shape[0] > 90
    np.testing.assert_array_equal(drawn[:90, :130], result.image)


def test_save(result: Result, tmp_path: Path) -> None:
    assert result.save(tmp_path / "new" / "out.png") == tmp_path / "new" / "out.png"
    np.testing.assert_array_equal(read_image(tmp_path / "new" / "out.png"), result.plot())
    result.save(str(tmp_path / "map.png"), kind="class-map")
    np.testing.assert_array_equal(read_mask(tmp_path / "map.png"), result.class_map)
    result.save(tmp_path / "sure.png", "confidence")
    expected = confidence_from_logits(result.logits, (90, 130), align_corners=False)
    np.testing.assert_array_equal(read_mask(tmp_path / "sure.png"), expected)
    result.save(tmp_path / "out.jpg")
    for path, kind, message in [
        ("map.jpg", "class-map", "a class map needs exact pixel values; use the suffix .png"),
        ("out.gif", "overlay", "out.gif: pass a file name that ends in .png, .jpg or .jpeg, such as out.png"),
        ("out.png", "overlays", r"cannot save 'overlays'; allowed are .* \(did you mean 'overlay'"),
    ]:
        with pytest.raises(InputError, match=message):
            result.save(tmp_path / path, kind)  # type: ignore[arg-type]


def test_repr_and_notebook_picture(result: Result) -> None:
    result = dataclasses.replace(result, timings_ms={"compile": 900.0, "network": 3.25, "class_map": 1.0})
    shares = sorted(result.class_shares().items(), key=lambda item: -item[1])
    assert repr(result).startswith(f"<Result 90x130: {shares[0][0]} {shares[0][1]:.1%}, {shares[1][0]} ")
    assert repr(result).endswith("; 4.2 ms>")
    assert repr(dataclasses.replace(result, source=3)).startswith("<Result 3, 90x130: ")
    with Image.open(io.BytesIO(result._repr_jpeg_())) as picture:
        assert picture.format == "JPEG"
        assert picture.size == result.plot().shape[1::-1]


def test_show(result: Result, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Image.Image] = []
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(ImageShow, "show", lambda image, title: shown.append(image) or True)
    result.show()
    np.testing.assert_array_equal(np.asarray(shown[0]), result.plot())
    monkeypatch.setattr(ImageShow, "show", lambda image, title: False)
    with pytest.raises(RapidSegError, match=r"no image viewer can be opened here; save the picture instead"):
        result.show()
    monkeypatch.delenv("DISPLAY")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(RapidSegError, match="no image viewer"):
        result.show()
    notebook = types.SimpleNamespace(
        get_ipython=lambda: types.SimpleNamespace(kernel=object()), display=types.SimpleNamespace(display=shown.append)
    )
    monkeypatch.setitem(sys.modules, "IPython", notebook)
    result.show()
    assert len(shown) == 2

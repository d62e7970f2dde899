"""What one image does wrong is that image's error, in streams, batches, calls, folders and evaluations."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

import rapidseg
from rapidseg.core.errors import EngineError, ImageError, InputError
from rapidseg.core.labels import LabelSet
from rapidseg.evaluation import WholeImage, score
from rapidseg.imaging import read_mask
from rapidseg.runtime import Segmenter, streaming
from rapidseg.runtime.engines.engine import ShapeCache
from tests.support.tiny_onnx import write_tiny_onnx

BAD_WIDTH = 72  # the engine fails at it

ENGINE_ERRORS = {
    "memory": (
        MemoryError(),
        ImageError,
        "not enough memory to segment it at 40x72 with openvino; use a smaller input",
    ),
    "opencv": (cv2.error("(-4:Insufficient memory) Failed to allocate"), ImageError, "not enough memory"),
    "allocation": (RuntimeError("bad_alloc"), ImageError, "not enough memory"),
    "engine": (RuntimeError("src/x.cpp:3\nCheck failed"), EngineError, "openvino failed at 40x72: Check failed; use"),
    "explained": (EngineError("cannot compile"), EngineError, "cannot compile"),
}


@pytest.fixture
def segmenter(tmp_path: Path) -> Segmenter:
    return rapidseg.load(write_tiny_onnx(tmp_path / "tiny.onnx"))


@pytest.fixture(params=ENGINE_ERRORS)
def failing(request, segmenter, monkeypatch):
    """A segmenter whose engine fails for images of one width, with the error and the message to expect."""
    raised, kind, message = ENGINE_ERRORS[request.param]
    infer = segmenter.engine.infer

    def fail(uploaded):
        if uploaded.shape[2] == BAD_WIDTH:
            raise raised
        return infer(uploaded)

    monkeypatch.setattr(segmenter.engine, "infer", fail)
    return segmenter, kind, message


@pytest.fixture
def images() -> list[np.ndarray]:
    return [np.full((40, width, 3), index, np.uint8) for index, width in enumerate((48, BAD_WIDTH, 48, BAD_WIDTH, 56))]


def test_the_others_go_on(failing, images):
    segmenter, kind, message = failing
    errors = {}
    results = list(segmenter.stream(images, on_error=errors.__setitem__))
    assert [result.source for result in results] == [0, 2, 4]
    assert sorted(errors) == [1, 3]
    assert all(type(error) is kind and message in str(error) for error in errors.values())
    errors.clear()
    assert [result.image[0, 0, 0] for result in segmenter.batch(images, on_error=errors.__setitem__)] == [0, 2, 4]
    assert sorted(errors) == [1, 3]
    for run in (lambda: segmenter(images[1]), lambda: segmenter.batch(images), lambda: list(segmenter.stream(images))):
        with pytest.raises(kind, match=f"image of 40x72.*: .*{message}"):
            run()


def test_logits_name_their_image(failing, images):
    segmenter, kind, message = failing
    with pytest.raises(kind, match=f"image of 40x72: .*{message}"):
        segmenter.logits(images[1])


def test_a_batch_that_fails_together_is_tried_one_by_one(segmenter, images, monkeypatch):
    infer = segmenter.engine.infer

    def fail(uploaded):
        if uploaded.shape[0] > 1:
            raise MemoryError
        return infer(uploaded)

    monkeypatch.setattr(segmenter.engine, "infer", fail)
    errors = {}
    assert len(segmenter.batch(images, on_error=errors.__setitem__)) == 5
    assert not errors
    with pytest.raises(ImageError, match="image of 40x48 and 1 more: not enough memory"):
        segmenter.batch(images)


def test_errors_in_our_own_code_are_not_hidden(segmenter, images, monkeypatch):
    monkeypatch.setattr(segmenter.engine, "infer", lambda uploaded: {}["absent"])
    with pytest.raises(KeyError):
        list(segmenter.stream(images, on_error=lambda source, error: None))


def test_a_batch_names_files_and_indices(segmenter, images, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"no image")
    errors = {}
    results = segmenter.batch([images[0], tmp_path / "bad.png", None, images[2]], on_error=errors.__setitem__)
    assert len(results) == 2
    assert set(errors) == {tmp_path / "bad.png", 2}
    with pytest.raises(InputError, match="on_error is 3; pass a function"):
        segmenter.batch(images, on_error=3)


def test_a_folder_with_an_image_that_is_too_large_for_the_network(segmenter, images, tmp_path, monkeypatch):
    folder = tmp_path / "photos"
    folder.mkdir()
    for index, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{index}.png")
    Image.fromarray(np.zeros((1, 900, 3), np.uint8)).save(folder / "line.png")
    monkeypatch.setenv("RAPIDSEG_MAX_PIXELS", "20000")  # the network would see the line with 32 rows
    report = rapidseg.predict(folder, model=segmenter, output=tmp_path / "out")
    assert len(report.files) == 5
    (failed,) = report.failed
    assert "line.png: the network would see the image of 1x900 pixels as 32x900" in failed["error"]
    assert json.loads(report.record_path.read_text())["complete"] is False


def test_an_engine_that_fails_on_one_file_of_a_folder(failing, images, tmp_path):
    segmenter, _, message = failing
    files = []
    for index, image in enumerate(images[:3]):
        files.append(tmp_path / f"{index}.png")
        Image.fromarray(image).save(files[-1])
    report = rapidseg.predict(files, model=segmenter, output=tmp_path / "out")
    assert len(report.files) == 2
    assert report.failed[0]["error"].startswith(f"{files[1]}: ")
    assert message in report.failed[0]["error"]


def test_an_image_that_cannot_be_drawn_is_skipped(segmenter, images, tmp_path, monkeypatch):
    from rapidseg.runtime.result import Result

    plot = Result.plot

    def fail(result, **options):
        if result.size_hw[1] == BAD_WIDTH:
            raise MemoryError
        return plot(result, **options)

    monkeypatch.setattr(Result, "plot", fail)
    for index, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / f"{index}.png")
    report = rapidseg.predict(sorted(tmp_path.glob("*.png")), model=segmenter, output=tmp_path / "out")
    assert [Path(entry["file"]).name for entry in report.files] == ["0.png", "2.png", "4.png"]
    assert "1.png: not enough memory to draw it" in report.failed[0]["error"]


def test_an_overlay_that_is_wider_than_a_jpeg_can_be_is_a_png(segmenter, tmp_path):
    Image.fromarray(np.zeros((2, 66_000, 3), np.uint8)).save(tmp_path / "wide.png")
    report = rapidseg.predict(tmp_path / "wide.png", model=segmenter, output=tmp_path / "out", input_size=(32, 64))
    assert report.complete
    assert read_mask(report.files[0]["class_map"]).shape == (2, 66_000)
    with Image.open(report.files[0]["overlay"]) as overlay:
        assert (overlay.format, overlay.width) == ("PNG", 66_000)
    result = segmenter(tmp_path / "wide.png", input_size=(32, 64))
    with pytest.raises(InputError, match="a JPEG file has at most 65500 pixels a side"):
        result.save(tmp_path / "wide.jpg")


@pytest.mark.parametrize("bgr", [False, True])
def test_a_camera_may_fill_one_buffer_again_and_again(segmenter, bgr):
    torch = pytest.importorskip("torch")
    pictures = np.random.default_rng(0).integers(0, 256, (6, 40, 48, 3), dtype=np.uint8)
    expected = [segmenter(picture, bgr=bgr).class_map for picture in pictures]

    def camera(buffer):
        for picture in pictures:
            buffer[:] = torch.from_numpy(picture) if isinstance(buffer, torch.Tensor) else picture
            yield buffer

    for buffer in (np.empty((40, 48, 3), np.uint8), torch.empty((40, 48, 3), dtype=torch.uint8)):
        for results in (list(segmenter.stream(camera(buffer), bgr=bgr)), segmenter.batch(camera(buffer), bgr=bgr)):
            for result, picture, class_map in zip(results, pictures, expected, strict=True):
                np.testing.assert_array_equal(result.class_map, class_map)
                np.testing.assert_array_equal(result.image, picture[:, :, ::-1] if bgr else picture)


def test_a_camera_may_fill_the_buffer_of_a_tensor_that_the_engine_takes(tmp_path):
    torch = pytest.importorskip("torch")
    segmenter = rapidseg.load(write_tiny_onnx(tmp_path / "tiny.onnx"), engine="torch", device="cpu")
    buffer = torch.empty((40, 48, 3), dtype=torch.uint8)

    def camera():
        for value in (0, 80, 160, 240):
            buffer.fill_(value)
            yield buffer

    for results in (list(segmenter.stream(camera())), segmenter.batch(camera())):
        assert [int(result.image[0, 0, 0]) for result in results] == [0, 80, 160, 240]


def test_large_images_are_read_one_by_one(segmenter, tmp_path, monkeypatch):
    monkeypatch.setattr(streaming, "MAX_PIXELS_UNDER_WAY", 2500)
    reading, most = [], []
    make_frame = streaming.make_frame

    def watched(*args, **options):
        reading.append(1)
        most.append(len(reading))
        time.sleep(0.005)
        frame = make_frame(*args, **options)
        reading.pop()
        return frame

    monkeypatch.setattr(streaming, "make_frame", watched)
    files = []
    for index in range(8):
        files.append(tmp_path / f"{index}.png")
        Image.fromarray(np.full((40, 50, 3), index, np.uint8)).save(files[-1])
    assert [result.source for result in segmenter.stream(files)] == files
    assert max(most) == 1
    arrays = (np.full((40, 50, 3), index, np.uint8) for index in range(8))
    assert [result.source for result in segmenter.stream(arrays)] == list(range(8))


def test_streams_that_are_abandoned_while_readers_wait_end_at_once(segmenter, tmp_path, monkeypatch):
    monkeypatch.setattr(streaming, "MAX_PIXELS_UNDER_WAY", 10)
    files = []
    for index in range(12):
        files.append(tmp_path / f"{index}.png")
        Image.fromarray(np.full((40, 50, 3), index, np.uint8)).save(files[-1])
    start = time.monotonic()
    for source in (files, (np.zeros((40, 50, 3), np.uint8) for _ in range(12))):
        stream = segmenter.stream(source)
        next(stream)
        stream.close()
    assert time.monotonic() - start < 5
    time.sleep(0.05)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("rapidseg_")]


def test_a_video_that_ends_early_is_not_taken_for_a_whole_one(segmenter, tmp_path):
    path = tmp_path / "drive.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    for number in range(30):
        writer.write(np.random.default_rng(number).integers(0, 256, (48, 64, 3), dtype=np.uint8))
    writer.release()
    assert len(list(segmenter.stream(path))) == 30
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    stream, results = segmenter.stream(path), []
    with pytest.raises(ImageError, match=r"drive\.avi: only \d+ of 30 frames can be read; the video is damaged or cut"):
        results.extend(stream)
    errors = {}
    results = list(segmenter.stream(path, on_error=errors.__setitem__))
    assert 5 < len(results) < 25
    assert list(errors) == [len(results)]


def test_compiled_shapes_do_not_pile_up():
    cache: ShapeCache[int] = ShapeCache(limit=8, max_pixels=1000)
    for width in range(10, 30):
        cache.get((1, 20, width, 3), lambda shape: 0)
    assert len(cache) == 1
    cache.get((1, 2, 5, 3), lambda shape: 0)
    assert len(cache) == 2
    cache.get((1, 500, 500, 3), lambda shape: 0)
    assert len(cache) == 1


def test_compiling_is_tried_again_without_the_other_shapes_where_memory_is_short():
    cache: ShapeCache[int] = ShapeCache()

    def compile_for(shape):
        if shape[1] == 4 and len(cache):
            raise RuntimeError("Failed to allocate 9 bytes")
        return shape[1]

    cache.get((1, 2, 2, 3), compile_for)
    assert cache.get((1, 4, 4, 3), compile_for) == 4
    assert len(cache) == 1


class Folder(list):
    """Labeled images, some of which cannot be read."""

    labels = LabelSet(names=("a", "b"), palette=((0, 0, 0), (1, 1, 1)))

    def sample_name(self, index):
        return f"image {index}"

    def __getitem__(self, index):
        item = super().__getitem__(index)
        if isinstance(item, Exception):
            raise item
        return item


class Labeled:
    """An image of one pixel with its label."""

    def __init__(self, name):
        self.name, self.image, self.label = name, np.zeros((1, 1, 3), np.uint8), np.zeros((1, 1), np.uint8)


def test_an_evaluation_skips_and_names_images_that_cannot_be_segmented():
    def predict(image):
        predicted.append(1)
        if len(predicted) == 2:
            raise MemoryError
        return np.zeros(image.shape[:2], np.uint8)

    predicted, failed = [], []
    data = Folder([Labeled("first"), ImageError("x.png: damaged"), Labeled("second"), Labeled("third")])
    evaluation = score(predict, data, on_error=failed.append)
    assert [image.name for image in evaluation.images] == ["first", "third"]
    assert [image.name for image in evaluation.failed] == ["image 1", "image 2"]
    assert list(evaluation.failed) == failed
    assert "second: not enough memory to segment 1x1 pixels" in failed[1].error
    assert evaluation.matrix.counts.sum() == 2
    assert evaluation.to_dict()["failed"][0] == {"name": "image 1", "error": "x.png: damaged"}
    predicted.clear()
    with pytest.raises(ImageError, match=r"x\.png: damaged"):
        score(predict, data)
    with pytest.raises(InputError, match=r"none of 1 images could be scored; the first: x\.png: damaged"):
        score(predict, Folder([ImageError("x.png: damaged")]), on_error=failed.append)


def test_a_protocol_names_the_image_that_an_engine_fails_on(failing):
    segmenter, kind, message = failing
    sample = Labeled("photo")
    sample.image = np.zeros((40, BAD_WIDTH, 3), np.uint8)
    data = Folder([sample])
    data.labels = segmenter.spec.labels
    with pytest.raises(kind, match=f"photo: .*{message}"):
        score(WholeImage(segmenter), data)

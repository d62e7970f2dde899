"""Streams: order, bounded memory, bad files, and clean ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

import rapidseg
from rapidseg.core.errors import ImageError, InputError
from rapidseg.core.parallel import ordered_map
from rapidseg.runtime import Segmenter
from tests.support.tiny_onnx import write_tiny_onnx


@pytest.fixture(scope="module")
def segmenter(tmp_path_factory: pytest.TempPathFactory) -> Segmenter:
    return rapidseg.load(write_tiny_onnx(tmp_path_factory.mktemp("model") / "tiny.onnx"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(9):
        Image.fromarray(np.full((40, 50, 3), number * 20, np.uint8)).save(tmp_path / f"{number}.png")
    return tmp_path


def stream_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("rapidseg-stream")]


def test_folder_glob_file_and_list(segmenter: Segmenter, folder: Path) -> None:
    files = sorted(folder.iterdir())
    for source in (folder, str(folder / "*.png"), files, [str(file) for file in files], iter(files)):
        results = list(segmenter.stream(source))
        assert [result.source for result in results] == files
        for number, result in enumerate(results):
            assert result.image[0, 0, 0] == number * 20
            assert list(result.timings_ms) == ["decode", "compile", "prepare", "network", "class_map"]
    assert [result.source for result in segmenter.stream(files[3], input_size=64)] == [files[3]]
    assert not stream_threads()


def test_arrays(segmenter: Segmenter) -> None:
    images = [np.full((40, 50 + i, 3), i, np.uint8) for i in range(7)]
    for source in (images, iter(images), (image for image in images)):
        results = list(segmenter.stream(source))
        assert [result.source for result in results] == list(range(7))
        for image, result in zip(images, results, strict=True):
            assert (result.image is image) == (source is images)  # what comes one by one may be overwritten
            np.testing.assert_array_equal(result.image, image)
            np.testing.assert_array_equal(result.class_map, segmenter.class_map(image))


def test_video(segmenter: Segmenter, tmp_path: Path) -> None:
    path = tmp_path / "drive.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    for number in range(12):
        frame = np.full((48, 64, 3), (10, 0, number * 20), np.uint8)  # BGR
        writer.write(frame)
    writer.release()
    results = list(segmenter.stream(path))
    assert [result.source for result in results] == list(range(12))
    for number, result in enumerate(results):
        assert result.image.shape == (48, 64, 3)
        assert np.abs(result.image[20, 20].astype(int) - (number * 20, 0, 10)).max() < 12
    for result in segmenter.stream(str(path)):
        if result.source == 2:
            break
    assert not stream_threads()


def test_bad_files(segmenter: Segmenter, folder: Path) -> None:
    (folder / "2.png").write_bytes(b"broken")
    (folder / "5.png").unlink()
    files = [folder / f"{number}.png" for number in range(9)]
    errors = []
    results = list(segmenter.stream(files, on_error=lambda source, error: errors.append((source, str(error)))))
    assert [result.source for result in results] == [file for file in files if file.name not in ("2.png", "5.png")]
    assert [source for source, _ in errors] == [folder / "2.png", folder / "5.png"]
    assert "not a readable" in errors[0][1]
    assert "no such file" in errors[1][1]
    with pytest.raises(ImageError, match=r"2\.png: not a readable"):
        list(segmenter.stream(files))
    assert not stream_threads()


def test_bad_arrays(segmenter: Segmenter) -> None:
    good = np.zeros((40, 40, 3), np.uint8)
    errors: dict[object, InputError] = {}
    stream = segmenter.stream(
        [good, good[:, :, 0], None, good], on_error=lambda at, error: errors.update({at: str(error)})
    )
    assert [result.source for result in stream] == [0, 3]
    assert sorted(errors) == [1, 2]
    with pytest.raises(InputError, match="this one is \\(40, 40\\) uint8"):
        list(segmenter.stream([good, good[:, :, 0]]))


def test_wrong_sources_are_named_at_once(segmenter: Segmenter, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no video")
    for source, message in {
        str(tmp_path / "absent.mp4"): "no such file or folder",
        str(tmp_path / "notes.txt"): "is neither an image .* nor a video that OpenCV can read",
        str(tmp_path): "no image files directly in this folder",
        str(tmp_path / "*.png"): "this pattern matches no image file",
    }.items():
        with pytest.raises(InputError, match=message):
            segmenter.stream(source)
    with pytest.raises(InputError, match="a stream takes several images; call the segmenter itself"):
        segmenter.stream(np.zeros((40, 40, 3), np.uint8))
    with pytest.raises(InputError, match="a video file, a folder, a glob or an iterable of images, not int"):
        segmenter.stream(3)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="input size 3 is not allowed"):
        segmenter.stream([], input_size=3)


def test_reads_only_a_few_ahead(segmenter: Segmenter) -> None:
    taken = []

    def endless() -> Iterator[np.ndarray]:
        while True:
            taken.append(1)
            yield np.zeros((40, 40, 3), np.uint8)

    for result in segmenter.stream(endless()):
        time.sleep(0.01)
        if result.source == 3:
            break
    time.sleep(0.05)
    assert len(taken) <= 3 + 1 + 4


def test_an_error_in_the_loop_ends_reading(segmenter: Segmenter, folder: Path) -> None:
    def loop() -> None:
        for _ in segmenter.stream(folder):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        loop()
    assert not stream_threads()


def test_an_error_in_the_source_is_raised(segmenter: Segmenter) -> None:
    def failing() -> Iterator[np.ndarray]:
        yield np.zeros((40, 40, 3), np.uint8)
        raise OSError("the camera is gone")

    stream = segmenter.stream(failing())
    assert next(stream).source == 0
    with pytest.raises(OSError, match="the camera is gone"):
        next(stream)


def test_ordered_map_keeps_order_and_overlaps() -> None:
    running = threading.Barrier(3, timeout=5)

    def slow(number: int) -> int:
        running.wait()  # passes only when three are worked on at once
        time.sleep(0.01 * (number % 3))
        return number

    assert list(ordered_map(slow, range(9), threads=3)) == list(range(9))

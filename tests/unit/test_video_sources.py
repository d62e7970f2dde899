"""Videos, cameras and addresses where they are not read: the message says how to segment them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import rapidseg
from rapidseg.core.errors import InputError
from rapidseg.runtime.video_sources import check_is_no_address, check_is_no_video


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_predict_names_the_way_to_segment_a_video() -> None:
    for name in ("v.mp4", "drive.AVI", "a.mkv"):
        Path(name).write_bytes(b"video")
        with pytest.raises(InputError, match=rf"{name} is a video; .* rapidseg\.load\(\)\.stream\('{name}'\)"):
            rapidseg.predict(name)
    assert not Path("predictions").exists()


@pytest.mark.parametrize("source", ["0", "12", "/dev/video97"])
def test_cameras(source: str) -> None:
    for check in (check_is_no_video, check_is_no_address, rapidseg.predict, rapidseg.load().stream):
        with pytest.raises(InputError, match=f"{source}: no such file or folder; of camera {source}, pass an iterable"):
            check(source)


@pytest.mark.parametrize("source", ["rtsp://127.0.0.1:9/x", "http://example.org/a.jpg", "s3://bucket/a.png"])
def test_addresses(source: str) -> None:
    for check in (check_is_no_video, rapidseg.predict, rapidseg.load().stream):
        with pytest.raises(InputError, match=r"is an address, not a file; download .* pass an iterable of its frames"):
            check(source)


def test_numbers_as_indices_of_cameras() -> None:
    with pytest.raises(InputError, match=r"a stream takes .* not int; of a camera, pass an iterable of its frames"):
        rapidseg.load().stream(0)  # type: ignore[arg-type]


def test_files_and_folders_of_such_names_are_read() -> None:
    Image.fromarray(np.zeros((40, 40, 3), np.uint8)).save("0", "PNG")
    os.mkdir("1")
    Image.fromarray(np.zeros((40, 40, 3), np.uint8)).save("1/a.png")
    assert rapidseg.predict(["0", "1"]).complete

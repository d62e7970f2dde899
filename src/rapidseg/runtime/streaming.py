"""Reading images ahead of their use, in threads, in order, a few at a time."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from itertools import count, repeat
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from rapidseg.core.errors import ImageError, InputError
from rapidseg.core.parallel import ordered_map
from rapidseg.imaging import IMAGE_SUFFIXES, find_images, read_image
from rapidseg.system.cpu import cpu_count

_MAX_READERS = 4


@dataclass(frozen=True, eq=False)
class Frame:
    """An image on its way to the network.

    Attributes:
        source: path, or number counted from 0.
        image: what should be (H, W, 3) uint8 RGB, or why it could not be read.
        decode_ms: milliseconds that reading it took, without waiting.
    """

    source: Path | int
    image: np.ndarray | InputError
    decode_ms: float


def open_frames(source: str | os.PathLike[str] | Iterable[Any]) -> Generator[Frame, None, None]:
    """Opens a video file, an image file, a folder, a glob, or an iterable of images and paths.

    Raises:
        InputError: the source is of no such kind, matches nothing, or is no readable video.
    """
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        if path.is_file() and path.suffix.lower() not in IMAGE_SUFFIXES:
            return _video_frames(path)
        source = find_images([source])
    if isinstance(source, np.ndarray):
        raise InputError("a stream takes a list of images, not one array; call the segmenter for one image")
    if not isinstance(source, Iterable):
        raise InputError(
            f"a stream takes a video file, a folder, a glob or an iterable of images, not {type(source).__name__}"
        )
    if isinstance(source, list | tuple) and all(isinstance(item, str | os.PathLike) for item in source):
        readers = min(_MAX_READERS, cpu_count())
        return ordered_map(_read_item, enumerate(source), threads=readers)
    return _pulled_frames(source)


def _read_item(numbered: tuple[int, Any]) -> Frame:
    number, item = numbered
    if not isinstance(item, str | os.PathLike):
        return Frame(number, item, 0.0)
    start = time.perf_counter()
    image: np.ndarray | InputError
    try:
        image = read_image(item)
    except ImageError as error:
        image = error
    return Frame(Path(item), image, 1e3 * (time.perf_counter() - start))


def _pulled_frames(items: Iterable[Any]) -> Generator[Frame, None, None]:
    """Takes items from an iterable in another thread, since making them may be slow, as from a camera."""
    numbered = enumerate(items)

    def pull(_: None) -> Frame | None:
        start = time.perf_counter()
        following = next(numbered, None)
        if following is None:
            return None
        frame = _read_item(following)
        return Frame(frame.source, frame.image, 1e3 * (time.perf_counter() - start))

    # An iterable may wait for its next item for as long as it likes; closing does not wait for it.
    return _until_none(ordered_map(pull, repeat(None), threads=1, wait=False))


def _video_frames(path: Path) -> Generator[Frame, None, None]:
    capture = cv2.VideoCapture(str(path))
    if not capture.isOpened():
        raise InputError(
            f"{path}: is neither an image ({', '.join(IMAGE_SUFFIXES)}) nor a video that OpenCV can read; "
            "convert it, for example to MP4 with H.264"
        )
    return _captured_frames(capture)


def _captured_frames(capture: cv2.VideoCapture) -> Generator[Frame, None, None]:
    def grab(number: int) -> Frame | None:
        start = time.perf_counter()
        there, picture = capture.read()
        if not there:
            return None
        image = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
        return Frame(number, image, 1e3 * (time.perf_counter() - start))

    try:
        yield from _until_none(ordered_map(grab, count(), threads=1))
    finally:
        capture.release()


def _until_none(frames: Generator[Frame | None, None, None]) -> Generator[Frame, None, None]:
    with contextlib.closing(frames):
        for frame in frames:
            if frame is None:
                return
            yield frame

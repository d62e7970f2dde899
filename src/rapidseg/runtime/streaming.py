"""Reads images ahead of their use: in threads, in order, a few at a time."""

from __future__ import annotations

import contextlib
import functools
import os
import time
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, replace
from itertools import count, repeat
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from rapidseg.core.arguments import describe_value
from rapidseg.core.budget import OrderedBudget
from rapidseg.core.errors import ImageError, InputError
from rapidseg.core.out_of_memory import is_out_of_memory
from rapidseg.core.parallel import ordered_map
from rapidseg.imaging import IMAGE_SUFFIXES, check_image, find_images, peek_pixels, to_image
from rapidseg.runtime.video_sources import check_is_no_address
from rapidseg.system.cpu import cpu_count

_MAX_READERS = 4

MAX_PIXELS_UNDER_WAY = 1 << 26
"""Pixels of all images that are being read or wait for the network; 200 MB decoded. A larger image comes alone."""

# A video file that names its number of frames may end a little earlier: players skip frames that cannot be shown.
_TOLERATED_FRAMES, _TOLERATED_SHARE = 2, 0.02
_MP4_TYPE, _AVI = b"ftyp", b"RIFF"


@dataclass(frozen=True, eq=False)
class Frame:
    """An image on its way to the network.

    Attributes:
        source: path, or index counted from 0.
        image: (H, W, 3) uint8 RGB, an array or a tensor; or the reason why it could not be read.
        decode_ms: milliseconds that reading it took, without waiting; None where nothing was decoded.
    """

    source: Path | int
    image: Any
    decode_ms: float | None


def _accepts_none(image: object) -> bool:
    return False


def make_frame(
    index: int, image: Any, accepts_tensor: Callable[[object], bool] = _accepts_none, *, bgr: bool = False
) -> Frame:
    """Converts an image of any supported kind.

    Args:
        index: becomes `source`, unless the image is a path.
        image: as for a call of `Segmenter`.
        accepts_tensor: whether the engine accepts an object as a tensor, which is passed on.
        bgr: whether arrays and tensors are in BGR.

    Raises:
        ImageError, InputError: as for a call of `Segmenter`.
    """
    if accepts_tensor(image):
        check_image(image)
        return Frame(index, image.flip(-1) if bgr else image, None)
    start = time.perf_counter()
    converted = to_image(image, bgr=bgr)
    decode_ms = None if isinstance(image, np.ndarray) else 1e3 * (time.perf_counter() - start)
    return Frame(Path(image) if isinstance(image, str | os.PathLike) else index, converted, decode_ms)


def open_frames(
    source: str | os.PathLike[str] | Iterable[Any],
    accepts_tensor: Callable[[object], bool] = _accepts_none,
    *,
    bgr: bool = False,
) -> Generator[Frame, None, None]:
    """Opens a video file, an image file, a folder, a glob, or an iterable of images.

    Args:
        source: what to open.
        accepts_tensor, bgr: as for `make_frame`.

    Raises:
        InputError: the source is of another kind, matches nothing, or is not a readable video.
    """
    if isinstance(source, str | os.PathLike):
        check_is_no_address(source)
        path = Path(source)
        if path.is_file() and path.suffix.lower() not in IMAGE_SUFFIXES:
            return _video_frames(path)
        source = find_images([source])
    check_several(source, "a stream", "a video file, a folder, a glob or an iterable of images")
    budget = OrderedBudget(MAX_PIXELS_UNDER_WAY)
    convert = functools.partial(_read_item, accepts_tensor, bgr, budget)
    if isinstance(source, list | tuple) and all(isinstance(item, str | os.PathLike) for item in source):
        readers = min(_MAX_READERS, cpu_count())
        return _releasing(ordered_map(convert, enumerate(source), threads=readers), budget)
    own = _same if bgr or is_stored(source) else own_copy
    return _releasing(_pulled_frames(source, lambda indexed: convert((indexed[0], own(indexed[1])))), budget)


def is_stored(images: object) -> bool:
    """Returns whether all images of an iterable exist at once, so that the next one does not overwrite the last."""
    return isinstance(images, list | tuple) or hasattr(images, "shape")


def own_copy(image: Any) -> Any:
    """Copies an array or tensor, since what yields it may fill the same memory again: cameras do so."""
    if isinstance(image, np.ndarray):
        return image.copy()
    return image.clone() if hasattr(image, "clone") and hasattr(image, "detach") else image


def _same(image: Any) -> Any:
    return image


def check_several(images: object, taker: str, allowed: str) -> None:
    """Raises `InputError` for a single image, which would be iterated row by row, and for what is not iterable.

    Args:
        images: what came; an array or tensor (N, H, W, 3) is several images.
        taker: what takes the images, and `allowed`, what it takes, for messages.
    """
    if isinstance(images, str | os.PathLike | bytes | bytearray | memoryview | Image.Image) or (
        hasattr(images, "shape") and len(images.shape) < 4
    ):
        raise InputError(
            f"{taker} takes several images; call the segmenter itself for one, or pass a list; this is a single image: "
            f"{describe_value(images)}"
        )
    if not isinstance(images, Iterable):
        camera = "; of a camera, pass an iterable of its frames" if isinstance(images, int) else ""
        raise InputError(f"{taker} takes {allowed}, not {type(images).__name__}{camera}")


def _read_item(
    accepts_tensor: Callable[[object], bool], bgr: bool, budget: OrderedBudget, indexed: tuple[int, Any]
) -> Frame:
    index, item = indexed
    budget.acquire(index, _num_pixels(item))
    start = time.perf_counter()
    try:
        frame = make_frame(index, item, accepts_tensor, bgr=bgr)
        return replace(frame, decode_ms=frame.decode_ms or 0.0)
    except Exception as error:
        source = Path(item) if isinstance(item, str | os.PathLike) else index
        if is_out_of_memory(error) and not isinstance(error, InputError):
            error = ImageError(f"{source}: not enough memory for this image; shrink or tile it, or free memory")
        if not isinstance(error, InputError):
            raise
        return Frame(source, error, 1e3 * (time.perf_counter() - start))


def _num_pixels(item: Any) -> int:
    """Returns the pixels of an image that is not decoded yet; 0 where they are not known."""
    if isinstance(item, str | os.PathLike | bytes | bytearray | memoryview):
        return peek_pixels(item)
    if isinstance(item, Image.Image):
        return item.width * item.height
    shape: tuple[Any, ...] = tuple(getattr(item, "shape", ()))
    return int(shape[0]) * int(shape[1]) if len(shape) == 3 else 0


def _releasing(frames: Generator[Frame, None, None], budget: OrderedBudget) -> Generator[Frame, None, None]:
    """Yields frames; one counts as under way until the next is requested."""
    with contextlib.closing(frames), budget:  # the budget is closed first, so that no thread waits for it
        for index in count():
            frame = next(frames, None)
            if frame is None:
                return
            yield frame
            del frame  # else it would stay in memory while the next one is read
            budget.release(index)


def _pulled_frames(items: Iterable[Any], convert: Callable[[tuple[int, Any]], Frame]) -> Generator[Frame, None, None]:
    """Iterates in another thread, because producing an item may be slow, as with a camera."""
    indexed = enumerate(items)

    def pull(_: None) -> Frame | None:
        start = time.perf_counter()
        following = next(indexed, None)
        if following is None:
            return None
        return replace(convert(following), decode_ms=1e3 * (time.perf_counter() - start))

    # An iterable may block for any time before its next item; closing does not wait for it.
    return _until_none(ordered_map(pull, repeat(None), threads=1, wait=False))


def _video_frames(path: Path) -> Generator[Frame, None, None]:
    capture = cv2.VideoCapture(str(path))
    if not capture.isOpened():
        raise InputError(
            f"{path} is neither an image ({', '.join(IMAGE_SUFFIXES)}) nor a video that OpenCV can read; "
            "convert it, for example to MP4 with H.264"
        )
    return _captured_frames(capture, path)


def _captured_frames(capture: cv2.VideoCapture, path: Path) -> Generator[Frame, None, None]:
    def grab(index: int) -> Frame | None:
        start = time.perf_counter()
        success, bgr = capture.read()
        if not success:
            return None
        image = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
        return Frame(index, image, 1e3 * (time.perf_counter() - start))

    num_frames = 0
    try:
        for frame in _until_none(ordered_map(grab, count(), threads=1)):
            num_frames += 1
            yield frame
        expected = int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) if _counts_frames(path) else 0
        if num_frames < expected - max(_TOLERATED_FRAMES, _TOLERATED_SHARE * expected):
            message = f"{path}: only {num_frames} of {expected} frames can be read; the video is damaged or cut off"
            yield Frame(num_frames, ImageError(message), None)
    finally:
        capture.release()


def _counts_frames(path: Path) -> bool:
    """Returns whether a video is in a container that stores the number of its frames: MP4, MOV or AVI.

    Of others OpenCV estimates it from the length.
    """
    with path.open("rb") as file:
        start = file.read(12)
    return start[4:8] == _MP4_TYPE or start[:4] == _AVI


def _until_none(frames: Generator[Frame | None, None, None]) -> Generator[Frame, None, None]:
    with contextlib.closing(frames):
        for frame in frames:
            if frame is None:
                return
            yield frame

"""What to do with videos, cameras and addresses where only images are read."""

from __future__ import annotations

import os
import re
from pathlib import Path

from rapidseg.core.errors import InputError

VIDEO_SUFFIXES = (
    *(
        ".mp4",
        ".m4v",
        ".mov",
        ".avi",
        ".mkv",
        ".webm",
        ".wmv",
        ".flv",
        ".mpg",
        ".mpeg",
        ".mts",
        ".m2ts",
        ".3gp",
        ".ogv",
    ),
)

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_CAMERA = re.compile(r"[0-9]{1,2}|/dev/video[0-9]+")
_FRAMES = (
    "pass an iterable of its frames in Python: `for result in rapidseg.load().stream(frames): ...`, where `frames` "
    "yields (H, W, 3) arrays, such as those of cv2.VideoCapture (with bgr=True)"
)


def check_is_no_address(source: str | os.PathLike[str]) -> None:
    """Raises `InputError` for a camera or an address, which neither `predict` nor `Segmenter.stream` opens."""
    text = os.fspath(source)
    if isinstance(text, str) and _ADDRESS.match(text):
        raise InputError(
            f"{text} is an address, not a file; download an image or video first. Of a live stream, {_FRAMES}"
        )
    if isinstance(text, str) and _CAMERA.fullmatch(text) and not Path(text).is_file() and not Path(text).is_dir():
        raise InputError(f"{text}: no such file or folder; of camera {text}, {_FRAMES}")


def check_is_no_video(source: str | os.PathLike[str]) -> None:
    """Raises `InputError` for a video file, a camera or an address, where images are wanted."""
    check_is_no_address(source)
    path = Path(source)
    if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file():
        raise InputError(
            f"{path} is a video; `rapidseg predict` reads images. Segment videos in Python: `for result in "
            f"rapidseg.load().stream({str(path)!r}): ...`"
        )

"""Finds images that several splits contain: the same files, by whatever path, and equal pictures."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from rapidseg.data.checks.check_report import FileFinding, Finding
from rapidseg.data.layouts.pairing import SplitFiles

_DIGEST_SIZE = 16
_ADVICE = "scores on training images are meaningless; use each image in one split only"


def picture_digest(image: np.ndarray) -> bytes | None:
    """Returns a checksum of a decoded picture (H, W, 3); None for one of a single color, which shows nothing."""
    if (image == image[:1, :1]).all():
        return None
    digest = hashlib.blake2b(repr(image.shape).encode(), digest_size=_DIGEST_SIZE)
    digest.update(np.ascontiguousarray(image).data)
    return digest.digest()


def file_digests(files: Mapping[str, SplitFiles], seconds: float) -> dict[Path, bytes]:
    """Returns checksums of the image files that have the size of a file of another split.

    Args:
        files: of each split.
        seconds: after which no further file is read.
    """
    by_size: dict[int, list[tuple[str, Path]]] = {}
    for split, split_files in files.items():
        for pair in split_files.pairs:
            try:
                by_size.setdefault(os.stat(pair.image).st_size, []).append((split, pair.image))
            except OSError:
                continue  # reading it reports the error
    end = time.monotonic() + seconds
    digests: dict[Path, bytes] = {}
    for candidates in by_size.values():
        if len({split for split, _ in candidates}) < 2:
            continue
        for _, path in candidates:
            if time.monotonic() > end:
                return digests
            try:
                digests[path] = hashlib.blake2b(path.read_bytes(), digest_size=_DIGEST_SIZE).digest()
            except OSError:
                continue
    return digests


def shared_images(files: Mapping[str, SplitFiles], digests: Mapping[Path, bytes]) -> Iterator[Finding]:
    """Yields a finding for each split with images of an earlier split.

    Args:
        files: of each split.
        digests: checksums by image file; files without one are compared by their path only.
    """
    first_seen: dict[object, tuple[str, Path]] = {}
    for split, split_files in files.items():
        shared: dict[str, list[FileFinding]] = {}
        for image in (pair.image for pair in split_files.pairs):
            seen = [first_seen.setdefault(key, (split, image)) for key in _keys(image, digests)]
            first, other = next((entry for entry in seen if entry[0] != split), (split, image))
            if first != split:
                same = "" if other == image else f", there as {other}"
                shared.setdefault(first, []).append(FileFinding(image, f"in {first} and {split}{same}"))
        for first, images in shared.items():
            yield Finding("shared_image", "warning", split, f"images that are also in {first}", _ADVICE, tuple(images))


def _keys(image: Path, digests: Mapping[Path, bytes]) -> Iterable[object]:
    """Returns what is equal for equal images."""
    try:
        status = os.stat(image)
        yield (status.st_dev, status.st_ino) if status.st_ino else os.path.realpath(image)
    except OSError:
        yield image
    if image in digests:
        yield digests[image]

"""Finds out whether a downloaded file can be weights at all, where no SHA-256 is known.

A file is downloaded once and kept, so a log-in page or half a file would be kept forever.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

from rapidseg.checkpoints import LEGACY_BEGINNING, read_checkpoint
from rapidseg.core.errors import ModelFileError

_HEAD_BYTES = 1024
_LENGTH_BYTES = 8  # of a safetensors header: a little-endian integer
_PAGES = (b"<!doctype html", b"<html", b"<head", b"<body", b"<script", b"<?xml", b"<!--")
_JSON = (b'{"', b"{\n")
_GIT_LFS = b"version https://git-lfs"


def why_not_weights(path: Path, name: str) -> str | None:
    """Returns why a file cannot be a complete file of weights, or None if nothing speaks against it.

    Only what is cheap to see is looked at. Half a file is recognized in both of PyTorch's formats and in safetensors.

    Args:
        path: the file.
        name: under which it was published; its ending says which format it has.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if not head:
        return "is empty"
    if head.removeprefix(b"\xef\xbb\xbf").lstrip().lower().startswith(_PAGES):
        return "is a web page, such as a log-in page, not a file of weights"
    if head.startswith(_GIT_LFS):
        return "is a Git LFS pointer, not the file itself"
    if head.startswith(_JSON):
        return "is JSON text, such as an error message, not a file of weights"
    if head.startswith(LEGACY_BEGINNING):
        try:
            read_checkpoint(path)
        except ModelFileError:
            return "is not complete, or damaged: its tensors cannot be read"
    if head.startswith(b"PK\x03\x04") and not zipfile.is_zipfile(path):
        return "is not complete: the end of the zip file is missing"
    if name.lower().endswith(".safetensors"):
        return _why_not_safetensors(path, size)
    return None


def _why_not_safetensors(path: Path, size: int) -> str | None:
    with path.open("rb") as file:
        header_bytes = int.from_bytes(file.read(_LENGTH_BYTES), "little")
        content_bytes = size - _LENGTH_BYTES - header_bytes
        if content_bytes < 0:
            return "is not complete: it ends within its header"
        try:
            header = json.loads(file.read(header_bytes))
            ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
            expected_bytes = max([0, *ends])
        except (ValueError, RecursionError, AttributeError, KeyError, IndexError, TypeError):
            return "is not a safetensors file: its header cannot be read"
    if expected_bytes > content_bytes:
        return f"is not complete: it has {content_bytes} of {expected_bytes} bytes of tensors"
    return None

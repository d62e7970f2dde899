"""Image files in memory, of every format that is accepted, and the usual damage to them."""

from __future__ import annotations

import io
import struct
from typing import Any

import cv2
import numpy as np
from PIL import Image


def photo(size_hw: tuple[int, int] = (120, 160), seed: int = 0) -> np.ndarray:
    """A smooth picture with some noise, (H, W, 3) uint8, that compresses as photos do."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (max(2, size_hw[0] // 12), max(2, size_hw[1] // 12), 3), dtype=np.uint8)
    pixels = cv2.resize(small, size_hw[::-1], interpolation=cv2.INTER_CUBIC).astype(int)
    return (pixels + rng.integers(-6, 7, pixels.shape)).clip(0, 255).astype(np.uint8)


def encoded(pixels: np.ndarray | Image.Image, kind: str, **options: Any) -> bytes:
    """The bytes of an image file."""
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def overwritten(content: bytes, rng: np.random.Generator, *, start: int, length: int = 60) -> bytes:
    """The file with some bytes in it replaced by random ones."""
    return content[:start] + rng.bytes(length) + content[start + length :]


def cut_with_end(jpeg: bytes, length: int) -> bytes:
    """The first bytes of a JPEG, with an end marker behind them."""
    return jpeg[:length] + b"\xff\xd9"


def rle_bmp(size_hw: tuple[int, int], data: bytes, *, bits: int = 8) -> bytes:
    """A run-length encoded BMP; color i is (i, 255 - i, 7 i mod 256)."""
    palette = b"".join(bytes([7 * i % 256, 255 - i, i, 0]) for i in range(1 << bits))
    offset = 54 + len(palette)
    size = (size_hw[1], size_hw[0], 1, bits, {8: 1, 4: 2}[bits])
    header = struct.pack("<IHHI", offset + len(data), 0, 0, offset)
    return b"BM" + header + struct.pack("<IiiHHIIiiII", 40, *size, len(data), 0, 0, 1 << bits, 0) + palette + data


SOUND = {
    "jpeg": lambda: encoded(photo(), "JPEG"),
    "jpeg 4:4:4": lambda: encoded(photo(), "JPEG", subsampling=0, quality=95),
    "jpeg 4:2:2 optimized": lambda: encoded(photo(), "JPEG", subsampling=1, optimize=True),
    "jpeg progressive": lambda: encoded(photo(), "JPEG", progressive=True),
    "jpeg restarts in rows": lambda: encoded(photo(), "JPEG", restart_marker_rows=1),
    "jpeg restarts in blocks": lambda: encoded(photo(), "JPEG", restart_marker_blocks=3),
    "jpeg progressive with restarts": lambda: encoded(photo(), "JPEG", progressive=True, restart_marker_blocks=5),
    "jpeg gray": lambda: encoded(photo()[:, :, 0], "JPEG"),
    "jpeg gray progressive": lambda: encoded(photo()[:, :, 0], "JPEG", progressive=True),
    "jpeg cmyk": lambda: encoded(Image.fromarray(photo()).convert("CMYK"), "JPEG"),
    "jpeg of one color": lambda: encoded(np.full((200, 300, 3), 77, np.uint8), "JPEG"),
    "jpeg of one pixel": lambda: encoded(np.full((1, 1, 3), 77, np.uint8), "JPEG"),
    "jpeg by opencv": lambda: cv2.imencode(".jpg", photo())[1].tobytes(),
    "png": lambda: encoded(photo(), "PNG"),
    "png 16 bits": lambda: cv2.imencode(".png", photo().astype(np.uint16) * 257)[1].tobytes(),
    "png 1 bit": lambda: encoded(Image.fromarray(photo()).convert("1"), "PNG"),
    "png palette": lambda: encoded(Image.fromarray(photo()).quantize(16), "PNG"),
    "webp": lambda: encoded(photo(), "WEBP"),
    "webp lossless": lambda: encoded(photo(), "WEBP", lossless=True),
    "bmp": lambda: encoded(photo(), "BMP"),
    "bmp palette": lambda: encoded(Image.fromarray(photo()).quantize(256), "BMP"),
    "bmp run lengths": lambda: rle_bmp((3, 5), b"\x05\x07\0\0" * 3 + b"\0\1"),
    "tiff": lambda: encoded(photo(), "TIFF"),
    "tiff lzw": lambda: encoded(photo(), "TIFF", compression="tiff_lzw"),
    "tiff deflate": lambda: encoded(photo(), "TIFF", compression="tiff_adobe_deflate"),
    "tiff jpeg": lambda: encoded(photo(), "TIFF", compression="jpeg"),
    "tiff 16 bits": lambda: cv2.imencode(".tif", photo().astype(np.uint16) * 257)[1].tobytes(),
}
"""A sound file of each kind, by name."""

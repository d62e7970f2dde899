"""Image files, encoded bytes and Pillow images to arrays.

Pillow reads every format: it reports truncated files (older versions of OpenCV return the half that they could
decode), returns the indices of palette PNGs (OpenCV returns their colors) and keeps 16-bit data with its rotation.
OpenCV decodes only what it decodes identically and faster: complete color JPEGs that need no rotation.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from rapidseg.core.errors import ImageError
from rapidseg.core.quiet import IgnoredWarnings

_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF")
_FORMAT_NAMES = "JPEG, PNG, WebP, BMP or TIFF"

_JPEG_START, _JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"
_ORIENTATION, _UPRIGHT = 0x0112, 1  # in EXIF

# Pillow stretches gray values of 2 and 4 bits to 0..255 and names the stored depth in its raw mode.
_STRETCH_FACTORS = {"L;2": 85, "L;4": 17}

# Pillow warns of metadata that it cannot parse; damage to the picture itself is an exception.
_WITHOUT_WARNINGS = IgnoredWarnings(r"PIL\..*")


def read_image(path: str | os.PathLike[str]) -> np.ndarray:
    """Reads a JPEG, PNG, WebP, BMP or TIFF file, and rotates it by its EXIF orientation.

    Gray becomes three equal channels, a palette its colors. Transparency is dropped, not blended, so colors are those
    stored in the file. Of 16 bits per channel the upper 8 are kept. Of several pages or frames the first is read.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        ImageError: the file is missing, empty, truncated, damaged, too large, or in another format.
    """
    with contextlib.suppress(OSError), open(path, "rb") as file:  # Pillow says below why a file cannot be opened
        start = file.read(len(_JPEG_START))
        if start == _JPEG_START:
            pixels = _decode_plain_jpeg(start + file.read())
            if pixels is not None:
                return pixels
    with _opened(path) as image:
        return _to_rgb(image, str(path))


def decode_image(content: bytes | bytearray | memoryview, name: str = "encoded image") -> np.ndarray:
    """Decodes the bytes of an image file, as `read_image` reads files.

    Args:
        content: the bytes of a JPEG, PNG, WebP, BMP or TIFF file.
        name: what error messages call the image.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        ImageError: the bytes are empty, truncated, damaged, too large, or in another format.
    """
    content = bytes(content)
    if not content:
        raise ImageError(f"{name}: no bytes; pass the whole content of an image file")
    if content.startswith(_JPEG_START):
        pixels = _decode_plain_jpeg(content)
        if pixels is not None:
            return pixels
    with _opened(io.BytesIO(content), name) as image:
        return _to_rgb(image, name)


def from_pillow(image: Image.Image, name: str = "PIL image") -> np.ndarray:
    """Converts a Pillow image of any mode, as `read_image` reads files; the image itself is not changed.

    Args:
        image: of a mode with up to 16 bits per channel.
        name: what error messages call the image.

    Returns:
        (H, W, 3) uint8 RGB, rotated by the image's EXIF orientation.

    Raises:
        ImageError: its file is truncated or damaged, or its mode has 32 bits per channel.
    """
    try:
        with _WITHOUT_WARNINGS:
            image.load()
            with contextlib.suppress(Exception):  # unreadable EXIF data is no reason to reject an intact picture
                if image.getexif().get(_ORIENTATION, _UPRIGHT) != _UPRIGHT:
                    image = ImageOps.exif_transpose(image)
            return _to_rgb(image, name)
    except ImageError:
        raise
    except Exception as error:  # decoders raise nearly any type on damaged input
        raise ImageError(
            f"{name} cannot be converted to RGB ({error}); convert it with image.convert('RGB')"
        ) from error


def read_mask(path: str | os.PathLike[str]) -> np.ndarray:
    """Reads a label file.

    Ids are the stored values: the gray values of a gray file, the indices (never the colors) of a palette file.

    Returns:
        (H, W) class ids, uint8, or uint16 where the file has more than 8 bits.

    Raises:
        ImageError: the file cannot be read, holds colors instead of ids, or is a JPEG, which changes values.
    """
    with _opened(path) as image:
        if image.format in ("JPEG", "MPO"):  # MPO: a camera's JPEG with a second picture behind the first
            raise ImageError(f"{path}: JPEG changes pixel values, so it cannot hold class ids; store masks as PNG")
        if image.mode in ("L", "P"):
            ids = np.array(image)
            ids //= np.uint8(image.info.get("rapidseg_stretch", 1))
            return ids
        if image.mode == "1":
            return np.array(image).astype(np.uint8)
        if image.mode == "I" or image.mode.startswith("I;16"):
            ids = np.array(image)
            if ids.min(initial=0) < 0 or ids.max(initial=0) > 65535:
                raise ImageError(f"{path}: class ids from {ids.min()} to {ids.max()}; allowed are 0 to 65535")
            return ids.astype(np.uint16)
        raise ImageError(
            f"{path}: a mask must have one channel of class ids, gray or palette, but this one has the channels "
            f"{', '.join(image.getbands())}; if its colors mark classes, describe them as the data set's colors"
        )


def _to_rgb(image: Image.Image, name: str) -> np.ndarray:
    """Returns a decoded and rotated picture as (H, W, 3) uint8 RGB."""
    if image.mode == "RGB":
        return np.array(image)
    if image.mode.startswith("I;16"):
        upper_byte = (np.array(image) >> 8).astype(np.uint8)
        return np.repeat(upper_byte[:, :, None], 3, axis=2)
    if image.mode in ("I", "F"):
        raise ImageError(
            f"{name}: images with 32 bits per channel are not supported; convert the image to 8 or 16 bits"
        )
    if "transparency" in image.info:
        image = image.copy()
        del image.info["transparency"]
    if image.mode in ("RGBa", "La"):  # premultiplied: Pillow converts these only to their plain form
        image = image.convert({"RGBa": "RGBA", "La": "LA"}[image.mode])
    return np.array(image.convert("RGB"))


def _decode_plain_jpeg(content: bytes) -> np.ndarray | None:
    """Decodes a color JPEG with OpenCV, in two thirds of the time that Pillow takes.

    Returns:
        (H, W, 3) uint8 RGB; None for any other image, and where Pillow has to explain the damage.
    """
    with contextlib.suppress(Exception), _WITHOUT_WARNINGS:
        if not content.rstrip(b"\0").endswith(_JPEG_END):  # older versions of OpenCV return the half that is complete
            return None
        with Image.open(io.BytesIO(content), formats=("JPEG",)) as header:
            if header.mode != "RGB" or header.getexif().get(_ORIENTATION, _UPRIGHT) != _UPRIGHT:
                return None
        return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)
    return None


@contextlib.contextmanager
def _opened(file: str | os.PathLike[str] | io.BytesIO, name: str | None = None) -> Iterator[Image.Image]:
    """Yields the decoded and rotated picture; whatever a decoder raises becomes an `ImageError` with the name."""
    name = str(file) if name is None else name
    path = None if isinstance(file, io.BytesIO) else Path(file)
    if path is not None and not str(file).strip():
        raise ImageError("the path of the image is empty")
    if path is not None and path.is_dir():
        raise ImageError(f"{name} is a folder, not an image file")
    try:
        with _WITHOUT_WARNINGS, Image.open(file, formats=_FORMATS) as image:
            raw_mode = image.tile[0].args if image.tile else None
            image.load()
            with contextlib.suppress(Exception):  # unreadable EXIF data is no reason to reject an intact picture
                ImageOps.exif_transpose(image, in_place=True)
            if isinstance(raw_mode, str):
                image.info["rapidseg_stretch"] = _STRETCH_FACTORS.get(raw_mode, 1)
            yield image
    except ImageError:
        raise
    except FileNotFoundError as error:
        raise ImageError(f"{name}: no such file or folder") from error
    except UnidentifiedImageError as error:
        if path is not None and path.stat().st_size == 0:
            raise ImageError(f"{name}: the file is empty") from error
        raise ImageError(f"{name}: not a readable {_FORMAT_NAMES} image") from error
    except Image.DecompressionBombError as error:
        limit = 2 * (Image.MAX_IMAGE_PIXELS or 0) // 1_000_000
        raise ImageError(f"{name}: too large; images of up to {limit} million pixels are read; tile it") from error
    except PermissionError as error:
        raise ImageError(f"{name}: no permission to read it") from error
    except Exception as error:  # decoders raise nearly any type on damaged input
        raise ImageError(f"{name}: the file is damaged or cut off ({error}); replace or remove it") from error

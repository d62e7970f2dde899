"""Image files to arrays.

Pillow reads every format: it reports files that were cut off (OpenCV's older versions return the half that is
there), gives the indices of palette PNGs (OpenCV gives their colors) and keeps 16-bit data with its rotation.
OpenCV decodes only what it does alike and faster: color JPEGs that are whole and need not be turned.
"""

from __future__ import annotations

import contextlib
import io
import os
import warnings
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from rapidseg.core.errors import ImageError

_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF")

_JPEG_START, _JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"
_ORIENTATION, _UPRIGHT = 0x0112, 1  # in EXIF

# Pillow stretches gray values of 2 and 4 bits to 0..255 and says so in its raw mode.
_STRETCHED = {"L;2": 85, "L;4": 17}

# What Pillow warns of is metadata that it could not parse; damage to the picture itself is an exception.
warnings.filterwarnings("ignore", module=r"PIL\..*")


def read_image(path: str | os.PathLike[str]) -> np.ndarray:
    """Reads a JPEG, PNG, WebP, BMP or TIFF file as (H, W, 3) uint8 RGB, turned as its EXIF orientation says.

    Gray becomes three equal channels, a palette its colors; transparency is dropped, not blended, so colors are
    those stored in the file. Of 16 bits the upper 8 are kept. Of several pages or frames the first is read.

    Raises:
        ImageError: the file is missing, empty, cut off, damaged, too large, or in another format.
    """
    pixels = _read_whole_jpeg(path)
    if pixels is not None:
        return pixels
    with _opened(path) as image:
        if image.mode.startswith("I;16"):
            upper_byte = (np.array(image) >> 8).astype(np.uint8)
            return np.repeat(upper_byte[:, :, None], 3, axis=2)
        if image.mode in ("I", "F"):
            raise ImageError(f"{path}: 32 bits a channel are not read; convert it to 8 or 16 bits")
        image.info.pop("transparency", None)
        return np.array(image if image.mode == "RGB" else image.convert("RGB"))


def read_mask(path: str | os.PathLike[str]) -> np.ndarray:
    """Reads a label file as (H, W) class ids: uint8, or uint16 where the file has more than 8 bits.

    Ids are the stored values: the gray values of a gray file, the indices (never the colors) of a palette file.

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
            f"{', '.join(image.getbands())}; if its colors stand for classes, describe them as the data set's colors"
        )


def _read_whole_jpeg(path: str | os.PathLike[str]) -> np.ndarray | None:
    """Decodes a color JPEG with OpenCV, in two thirds of the time that Pillow takes.

    Returns:
        (H, W, 3) uint8 RGB; None for any other file, and where Pillow has to say what is wrong.
    """
    with contextlib.suppress(Exception), open(path, "rb") as file:
        start = file.read(len(_JPEG_START))
        if start != _JPEG_START:
            return None
        content = start + file.read()
        if not content.rstrip(b"\0").endswith(_JPEG_END):  # older versions of OpenCV return the half that is there
            return None
        with Image.open(io.BytesIO(content), formats=("JPEG",)) as header:
            if header.mode != "RGB" or header.getexif().get(_ORIENTATION, _UPRIGHT) != _UPRIGHT:
                return None
        return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)
    return None


@contextlib.contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[Image.Image]:
    """Gives the decoded and turned picture; whatever a decoder raises becomes an `ImageError` that names the file."""
    if Path(path).is_dir():
        raise ImageError(f"{path}: is a folder, not an image file")
    try:
        with Image.open(path, formats=_FORMATS) as image:
            raw_mode = image.tile[0].args if image.tile else None
            image.load()
            # A broken EXIF block is no reason to refuse a sound picture.
            with contextlib.suppress(Exception):
                ImageOps.exif_transpose(image, in_place=True)
            if isinstance(raw_mode, str):
                image.info["rapidseg_stretch"] = _STRETCHED.get(raw_mode, 1)
            yield image
    except ImageError:
        raise
    except FileNotFoundError as error:
        raise ImageError(f"{path}: no such file") from error
    except UnidentifiedImageError as error:
        if Path(path).stat().st_size == 0:
            raise ImageError(f"{path}: the file is empty") from error
        raise ImageError(f"{path}: not a readable JPEG, PNG, WebP, BMP or TIFF image") from error
    except Image.DecompressionBombError as error:
        limit = 2 * (Image.MAX_IMAGE_PIXELS or 0) // 1_000_000
        raise ImageError(f"{path}: too large; up to {limit} million pixels are read; cut it into tiles") from error
    except PermissionError as error:
        raise ImageError(f"{path}: no permission to read it") from error
    except Exception as error:  # decoders raise nearly any type on damaged input
        raise ImageError(f"{path}: the file is damaged or cut off ({error}); replace it or leave it out") from error
